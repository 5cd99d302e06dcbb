//! The gradient of the kernel: a matrix product whose left factor is the input as the windows see it, transposed, and
//! whose right one is the output's gradient, packed a block of positions at a time: all of them or, where much is padding,
//! for each tap those that see the input there.

use std::ops::Range;

use super::is_depthwise;
use crate::Element;
use crate::geometry::{Geometry2d, WindowAxis};
use crate::kernels::aligned::{line_len, room};
use crate::kernels::depthwise_gradient;
use crate::kernels::disjoint::{Rows, each_columns};
use crate::kernels::field::{self, Field};
use crate::kernels::kept::with_kept;
use crate::kernels::matmul::{Block, Finish, Left, MR, Series};
use crate::kernels::panels::{Panel, Panels, each_panel_of, pack, pack_rows, panels_len};
use crate::kernels::patches::Patches;
use crate::kernels::pieces::{each_piece, even_pieces};
use crate::kernels::simd::{Kernel, MAX_LANES, MAX_PANEL, Simd, isa};
use crate::kernels::threads::threads;
use crate::kernels::{sum, winograd};

/// The most positions that are multiplied at a time: a panel of their gradients stays in the first-level cache.
const BLOCK: usize = 256;
/// The most rows of the result that a panel meets before the next one.
const CHUNK_ROWS: usize = 64;
/// Rows of the result for which a task packs the gradients anew.
const TASK_ROWS: usize = 96;
/// Columns of the result that a task computes at least.
const TASK_COLUMNS: usize = 64;
/// Into how many tasks the work can be cut, and how many a thread should have.
const TASKS: usize = 16;
const TASKS_A_THREAD: usize = 3;
/// Columns of a task are a multiple of this, the widest panel.
const PANEL: usize = 64;
/// Products with padding, of a gradient at a tap, on average, from which on gradients are packed without it. Packing one
/// costs about half as much.
const PADDING: f64 = 40.0;
/// The most elements in all sums that are taken apart, and the fewest positions of each.
const APART_ELEMENTS: usize = 1 << 20;
const APART_PIXELS: usize = 512;

/// The gradient of the kernel: `dw[i,j,c,f] = sum over n,y,x of input[n, y*s+i*d-p, x*s+j*d-p, c] * dy[n,y,x,f]`, and
/// that of the bias, `db[f] = sum over n,y,x of dy[n,y,x,f]`, if `out` goes on behind it.
///
/// Threads share the kernel's elements; where these are few, the positions too, which are cut into pieces by the
/// problem's size alone. Each piece sums apart, and the pieces are added in order: the result does not depend on the
/// number of threads.
pub(crate) fn backward_kernel<T: Element>(input: &[T], grad: &[T], geometry: &Geometry2d, out: &mut [T]) {
    if grad.is_empty() {
        return out.fill(T::zero());
    }
    if is_depthwise(geometry) {
        return depthwise_gradient::kernel_gradient(&Patches::of_input(input, geometry), grad, out);
    }
    if let Some(size) = winograd::choose_gradient::<T>(geometry) {
        return winograd::backward_kernel(input, grad, geometry, size, out);
    }
    let patches = Patches::of_input(input, geometry);
    let group_in = geometry.in_channels / geometry.groups;
    let field = Field::new(&patches, group_in, BLOCK);
    let problem = Problem { grad, geometry, field, tasks: Tasks::new(geometry), by_tap: by_tap(geometry) };
    let pixels = geometry.batch * patches.positions();
    let Tasks { parallel, pieces, .. } = problem.tasks;
    sum::in_pieces(parallel, pieces, out, |piece, sums| {
        problem.piece(piece * pixels / pieces..(piece + 1) * pixels / pieces, sums);
    });
}

/// Whether to pack anew for each tap the gradients of those positions only whose windows see the input there: where maps are
/// small, many see padding.
pub(super) fn by_tap(geometry: &Geometry2d) -> bool {
    let seen = |axis: &WindowAxis| {
        let seen: f64 = (0..axis.output).map(|position| axis.taps(position).len() as f64).sum();
        seen / (axis.kernel as f64 * axis.output as f64)
    };
    let padding = 1.0 - seen(&geometry.rows) * seen(&geometry.cols);
    geometry.groups == 1 && padding * geometry.in_channels as f64 > PADDING
}

/// How the result is shared among tasks.
struct Tasks {
    parallel: bool,
    rows: usize,
    columns: usize,
    /// Into how many pieces the positions are cut.
    pieces: usize,
}

impl Tasks {
    fn new(geometry: &Geometry2d) -> Self {
        let [kh, kw, group_in, filters] = geometry.kernel_shape();
        let [batch, height, width, _] = geometry.output_shape();
        let (rows, pixels) = (kh * kw * group_in, batch * height * width);
        let most = |size: usize, least: usize| size.div_ceil(least).min(TASKS);
        let (most_rows, most_columns) = (most(rows, TASK_ROWS), most(filters, TASK_COLUMNS));
        let affordable = (APART_ELEMENTS / (rows * filters)).min(pixels / APART_PIXELS).max(1);
        let pieces = TASKS.div_ceil(most_rows * most_columns).min(affordable);
        // Only into how many pieces the positions are cut shows in the result.
        let threads = threads(geometry.multiplications() as usize);
        let wanted = if threads == 1 { 1 } else { (TASKS_A_THREAD * threads).div_ceil(pieces) };
        let across = wanted.min(most_rows);
        let down = if geometry.groups == 1 { wanted.div_ceil(across).min(most_columns) } else { 1 };
        let columns = filters.div_ceil(down).next_multiple_of(PANEL).min(filters);
        Tasks { parallel: threads > 1, rows: rows.div_ceil(across), columns, pieces }
    }
}

struct Problem<'a, T: Element> {
    grad: &'a [T],
    geometry: &'a Geometry2d,
    field: Field<'a, T>,
    tasks: Tasks,
    by_tap: bool,
}

/// A task's part of the input, and packed gradients.
#[derive(Default)]
struct Scratch<T> {
    field: field::Scratch<T>,
    strip: Strip<T>,
    panels: Vec<T>,
    seen: Vec<Seen>,
}

/// A position whose window sees the input at a tap.
struct Seen {
    /// In its block.
    position: usize,
    /// Where the window's numbers start.
    start: usize,
}

/// What the windows of a block of positions see at a tap, of a few channels: a row of them for each position. Where they
/// lie, far apart, they would evict each other from the first-level cache.
#[derive(Default)]
struct Strip<T> {
    values: Vec<T>,
    rows: Option<Series>,
}

impl<T: Element> Strip<T> {
    /// An odd number of cache lines.
    const PITCH: usize = CHUNK_ROWS + line_len::<T>();

    /// Copies the first `count` numbers of so many rows of `values` here, which begin at `starts`.
    fn copy(
        &mut self,
        values: &[T],
        positions: usize,
        starts: impl Iterator<Item = usize>,
        count: usize,
    ) -> Left<'_, T> {
        let strip = &mut room(&mut self.values, BLOCK * Self::PITCH)[..positions * Self::PITCH];
        for (start, out) in starts.zip(strip.chunks_exact_mut(Self::PITCH)) {
            out[..count].copy_from_slice(&values[start..][..count]);
        }
        self.rows = (positions > 0).then(|| Series::dense(positions, Self::PITCH));
        Left::Columns { values: strip, rows: self.rows.as_slice(), first: 0, ahead: 0 }
    }
}

impl<T: Element> Problem<'_, T> {
    /// The rows of the kernel's gradient.
    fn rows(&self) -> usize {
        let [kh, kw, group_in, _] = self.geometry.kernel_shape();
        kh * kw * group_in
    }

    /// The sums over the positions `pixels`.
    fn piece(&self, pixels: Range<usize>, out: &mut [T]) {
        let filters = self.geometry.out_channels;
        let Tasks { parallel, rows, columns, .. } = self.tasks;
        let tasks = self.rows().div_ceil(rows);
        // The sums of the bias are one more row, of the last task.
        let end = out.len();
        let start = |task| if task < tasks { task * rows * filters } else { end };
        each_piece(parallel, 0..tasks, out, &start, &|index, out| {
            let part = |columns: Range<usize>, mut out: Rows<'_, T>| {
                with_kept(|scratch: &mut Scratch<T>| {
                    for (first, count) in even_pieces(pixels.clone(), BLOCK) {
                        let finish = if first == pixels.start { Finish::PLAIN } else { Finish::ADD };
                        self.field.fill(&mut scratch.field, first..first + count);
                        self.multiply(
                            scratch,
                            first..first + count,
                            index * rows,
                            &columns,
                            &mut out,
                            finish,
                        );
                    }
                });
            };
            let columns = if parallel { columns } else { filters };
            each_columns(parallel, Rows::new(out, filters), 0, columns, &part);
        });
    }

    /// Adds the products of a block of positions to the rows from `first_row` on of the columns `columns`.
    fn multiply(
        &self,
        Scratch { field, strip, panels, seen }: &mut Scratch<T>,
        pixels: Range<usize>,
        first_row: usize,
        columns: &Range<usize>,
        out: &mut Rows<'_, T>,
        finish: Finish<'_, T>,
    ) {
        let (isa, groups, filters) = (isa(), self.geometry.groups, self.geometry.out_channels);
        let group_out = filters / groups;
        for group in 0..groups {
            // The columns of the group, or those of this task.
            let (from, place) = if groups == 1 {
                (columns.clone(), 0)
            } else {
                (group * group_out..(group + 1) * group_out, group * group_out)
            };
            let panels = room(panels, panels_len::<T>(isa, pixels.len(), from.len()));
            let grad = &self.grad[pixels.start * filters + from.start..];
            let rows = first_row..self.rows().min(first_row + out.len());
            let with_bias = out.len() > rows.len();
            if with_bias || !self.by_tap {
                pack_rows(isa, (grad, filters), (pixels.len(), from.len()), panels);
            }
            if with_bias {
                let [sums] = out.part(rows.len(), place..place + from.len());
                if !finish.adds {
                    sums.fill(T::zero());
                }
                T::dispatch(isa, PanelSums { panels, rows: pixels.len(), sums });
            }
            let part = Part { pixels: pixels.clone(), group, rows, columns: from.len(), place, finish };
            if self.by_tap {
                self.multiply_seen((field, strip, seen), (grad, panels), &part, out);
            } else {
                self.multiply_all((field, strip), panels, &part, out);
            }
        }
    }

    /// Multiplies what the windows see with all gradients, which are packed, in pieces of their runs.
    fn multiply_all(
        &self,
        (field, strip): (&field::Scratch<T>, &mut Strip<T>),
        panels: &[T],
        part: &Part<'_, T>,
        out: &mut Rows<'_, T>,
    ) {
        let channels = self.geometry.in_channels;
        let (values, starts, runs) = self.field.seen(field, part.group * (channels / self.geometry.groups));
        let positions = part.pixels.len();
        for (first, count) in part.pieces(runs.length()) {
            let values = &values[runs.place(first)..];
            // What is read once, and what neighbouring positions share lines of, is read where it lies.
            let left = if count > MR && channels > line_len::<T>() {
                strip.copy(values, positions, starts.iter().flat_map(Series::starts), count)
            } else {
                Left::Columns { values, rows: starts, first: 0, ahead: 0 }
            };
            part.multiply(left, (panels, positions), first..first + count, out);
        }
    }

    /// Multiplies what the windows see at each tap, where it is not padding, with the gradients of these positions.
    fn multiply_seen(
        &self,
        (field, strip, seen): (&field::Scratch<T>, &mut Strip<T>, &mut Vec<Seen>),
        (grad, panels): (&[T], &mut [T]),
        part: &Part<'_, T>,
        out: &mut Rows<'_, T>,
    ) {
        let Geometry2d { in_channels, out_channels, .. } = *self.geometry;
        let (values, starts, runs) = self.field.seen(field, 0);
        let mut packed = None;
        for (first, count) in part.pieces(in_channels) {
            let tap = first / in_channels;
            if packed.replace(tap) != Some(tap) {
                self.list_seen(tap, &part.pixels, starts, seen);
                let gradient = |row: usize, columns: Range<usize>, into: &mut [T]| {
                    into.copy_from_slice(&grad[seen[row].position * out_channels..][columns]);
                };
                pack(isa(), seen.len(), part.columns, gradient, panels);
            }
            let starts = seen.iter().map(|seen| seen.start);
            let left = strip.copy(&values[runs.place(first)..], seen.len(), starts, count);
            part.multiply(left, (&*panels, seen.len()), first..first + count, out);
        }
    }

    /// Lists the positions of a block whose windows see the input at a tap.
    fn list_seen(&self, tap: usize, pixels: &Range<usize>, starts: &[Series], seen: &mut Vec<Seen>) {
        let Geometry2d { rows, cols, .. } = self.geometry;
        let (i, j) = (tap / cols.kernel, tap % cols.kernel);
        seen.clear();
        // The same room whatever the tap, so that no later one asks for more.
        seen.reserve(pixels.len());
        for (position, start) in starts.iter().flat_map(Series::starts).enumerate() {
            let pixel = pixels.start + position;
            let (y, x) = (pixel / cols.output % rows.output, pixel % cols.output);
            if rows.source(y, i).is_some() && cols.source(x, j).is_some() {
                seen.push(Seen { position, start });
            }
        }
    }
}

/// What a task multiplies at a time.
struct Part<'a, T> {
    pixels: Range<usize>,
    group: usize,
    /// Rows of the kernel's gradient, and columns, from the number `place` of its rows on.
    rows: Range<usize>,
    columns: usize,
    place: usize,
    finish: Finish<'a, T>,
}

impl<T: Element> Part<'_, T> {
    /// The rows in pieces that lie together where the windows see them: in runs of `length`.
    fn pieces(&self, length: usize) -> impl Iterator<Item = (usize, usize)> + use<T> {
        let rows = self.rows.clone();
        (rows.start / length..rows.end.div_ceil(length)).flat_map(move |run| {
            even_pieces(rows.start.max(run * length)..rows.end.min((run + 1) * length), CHUNK_ROWS)
        })
    }

    /// Computes some rows from what the windows see and as many packed gradients of each filter.
    fn multiply(
        &self,
        left: Left<'_, T>,
        (panels, count): (&[T], usize),
        rows: Range<usize>,
        out: &mut Rows<'_, T>,
    ) {
        let Part { columns, place, finish, .. } = *self;
        let out = &mut out.lines(rows.start - self.rows.start, rows.len());
        let right = Panels::whole(isa(), count, panels);
        Block { left, right, columns: 0..columns, out, place, finish }.compute();
    }
}

/// Adds the columns of so many packed rows to their sums.
struct PanelSums<'a, T> {
    panels: &'a [T],
    rows: usize,
    sums: &'a mut [T],
}

impl<T: Element> Kernel<T> for PanelSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let PanelSums { panels, rows, sums } = self;
        for Panel { first, width } in each_panel_of::<T>(S::ISA, rows, sums.len()) {
            let last = sums.len().min(first + width);
            let sums = &mut sums[first..last];
            // As wide as the panel, which the last columns need not fill.
            let mut wide = [T::zero(); MAX_PANEL * MAX_LANES];
            wide[..sums.len()].copy_from_slice(sums);
            sum::add_columns(simd, &panels[first * rows..][..width * rows], &mut wide[..width]);
            sums.copy_from_slice(&wide[..sums.len()]);
        }
    }
}
