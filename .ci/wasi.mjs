// Runs a WASI program under Node: node wasi.mjs PROGRAM [ARGUMENT..]
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

// What Debian's C library for WASI does not have: threads can be asked for, and are refused; no path can be resolved,
// and no permission changed.
const ENOTSUP = 58;
const env = {
    pthread_attr_init: () => 0,
    pthread_attr_setstacksize: () => 0,
    pthread_attr_destroy: () => 0,
    pthread_create: () => ENOTSUP,
    pthread_join: () => ENOTSUP,
    pthread_detach: () => ENOTSUP,
    realpath: () => 0,
    fchmod: () => -1,
};

const args = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1', args, env: process.env, returnOnExit: true });
const module = await WebAssembly.compile(readFileSync(args[0]));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, { ...wasi.getImportObject(), env }));
