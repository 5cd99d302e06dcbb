//! Training runs in files: what [`Trainer`] needs to go on another day (features `safetensors` and `npz`).

use std::path::Path;

use super::{OptimizerState, Trainer};
use crate::weights::{Archive, Item, Transfer, put, write};
use crate::{Element, Error, ErrorKind, Layer, Name, Result, Rng};

/// Where each thing is in the file.
const MODEL: &str = "model.";
const OPTIMIZER: &str = "optimizer.";
const GENERATORS: &str = "generators.";
const RNG: &str = "trainer.rng";
const EPOCHS: &str = "trainer.epochs";

impl<T: Element> Trainer<'_, T> {
    /// Writes the model's parameters and all that the run needs to go on, bit by bit, to a file of any of the formats of
    /// [`weights`](crate::weights) that hold several tensors: what the optimizer remembers, where the random numbers of the
    /// trainer and of the layers stand, and how many epochs there were.
    ///
    /// Options are not written; nor is what callbacks remember. The parameters are those that
    /// [`weights::save`](crate::weights::save) writes, under names that begin with `model.`.
    ///
    /// # Errors
    /// As [`weights::save`](crate::weights::save), and if the optimizer does not tell its state.
    ///
    /// ```
    /// use striate::train::{Adam, MeanSquaredError, Trainer};
    /// use striate::{Dense, Tensor};
    /// # let path = std::env::temp_dir().join(format!("striate-run-{}.safetensors", std::process::id()));
    /// let (x, y) = (Tensor::<f32>::full(&[40, 3], 1.0)?, Tensor::zeros(&[40, 1])?);
    /// let mut model = Dense::new(1);
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Adam::new(0.01));
    /// for _epoch in 0..3 {
    ///     trainer.fit(&mut model, &x, &y)?;
    ///     trainer.save(&model, &path)?;    // a crash costs an epoch at most
    /// }
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self, model: &dyn Layer<T>, path: impl AsRef<Path>) -> Result<()> {
        let mut items = in_model().items(model)?;
        let OptimizerState { counts, tensors } = self.optimizer.state()?;
        let named = |name: String| format!("{OPTIMIZER}{name}");
        items.extend(counts.into_iter().map(|(name, count)| Item::counts(named(name), [count])));
        items.extend(tensors.into_iter().map(|(name, values)| Item::floats(named(name), values)));
        let generators = model.generators().into_iter();
        items.extend(generators.map(|(name, rng)| Item::counts(format!("{GENERATORS}{name}"), rng.state())));
        items.push(Item::counts(RNG, self.rng.state()));
        items.push(Item::counts(EPOCHS, [self.epochs_done as u64]));
        write(path.as_ref(), &items)
    }

    /// Brings a model that is built, and this trainer, to where a saved run was, and returns how many epochs that had
    /// done. With the same options and data, the run goes on as if it had never stopped, to the last bit.
    ///
    /// # Errors
    /// [`ErrorKind::File`] if the file is not one that [`save`](Self::save) wrote for such a model, optimizer and type of
    /// element, or cannot be read. Model and trainer then stay as they were.
    ///
    /// ```
    /// use striate::train::{Adam, MeanSquaredError, Trainer};
    /// use striate::{Dense, Layer, Rng, Tensor};
    /// # let path = std::env::temp_dir().join(format!("striate-rerun-{}.safetensors", std::process::id()));
    /// let (x, y) = (Tensor::<f32>::full(&[40, 3], 1.0)?, Tensor::zeros(&[40, 1])?);
    /// let built = || {
    ///     let mut model = Dense::new(1);
    ///     model.build(&[1, 3], &mut Rng::seed(1)).map(|()| model)
    /// };
    /// let trainer = || Trainer::new(MeanSquaredError::new(), Adam::new(0.01)).epochs(2);
    ///
    /// let (mut model, mut first) = (built()?, trainer());
    /// first.fit(&mut model, &x, &y)?;
    /// first.save(&model, &path)?;
    /// let expected = first.fit(&mut model, &x, &y)?.get("loss");
    ///
    /// let (mut model, mut second) = (built()?, trainer());
    /// assert_eq!(second.load(&mut model, &path)?, 2);
    /// assert_eq!(second.fit(&mut model, &x, &y)?.get("loss"), expected);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(&mut self, model: &mut dyn Layer<T>, path: impl AsRef<Path>) -> Result<usize> {
        let mut archive = Archive::open(path)?;
        let others = [OPTIMIZER, GENERATORS, RNG, EPOCHS];
        let is_other = |name: &str| others.iter().any(|other| name.starts_with(other));
        check_precision::<T>(&archive)?;
        let [epochs] = counts(&mut archive, EPOCHS)?;
        let epochs = usize::try_from(epochs).map_err(|_| unlike("a number of epochs", epochs))?;
        let (_, params) = in_model().read(model, &mut archive, is_other)?;
        let generators = read_generators(model, &mut archive)?;
        let rng = read_rng(&mut archive, RNG)?;
        let optimizer = read_optimizer(&mut archive)?;

        // From here on, what can go wrong does so before anything has changed.
        self.optimizer.set_state(optimizer)?;
        put(model, params)?;
        for ((_, rng), state) in model.generators_mut().into_iter().zip(generators) {
            *rng = state;
        }
        (self.rng, self.epochs_done) = (rng, epochs);
        Ok(epochs)
    }
}

/// The parameters among the rest.
fn in_model() -> Transfer<'static> {
    Transfer::new().names(|name| format!("{MODEL}{name}"))
}

/// Checks that floats were saved as `T`: converted, they would not be the same bits.
fn check_precision<T: Element>(archive: &Archive) -> Result<()> {
    match archive.names().find(|name| archive.holds_other_floats::<T>(name)) {
        Some(name) => Err(unlike(format_args!("{} only", T::NAME), format_args!("another type for {name}"))),
        None => Ok(()),
    }
}

/// The layers' generators, in the model's order.
fn read_generators<T: Element>(model: &dyn Layer<T>, archive: &mut Archive) -> Result<Vec<Rng>> {
    let names: Vec<Name> = model.generators().into_iter().map(|(name, _)| name).collect();
    let saved = archive.names().filter(|name| name.starts_with(GENERATORS)).count();
    if saved != names.len() {
        return Err(unlike(format_args!("{} generators of layers", names.len()), saved));
    }
    names.iter().map(|name| read_rng(archive, &format!("{GENERATORS}{name}"))).collect()
}

fn read_rng(archive: &mut Archive, name: &str) -> Result<Rng> {
    Rng::from_state(counts(archive, name)?).map_err(|error| unlike(error.expected(), error.got()))
}

fn read_optimizer<T: Element>(archive: &mut Archive) -> Result<OptimizerState<T>> {
    let names: Vec<String> =
        archive.names().filter(|name| name.starts_with(OPTIMIZER)).map(str::to_string).collect();
    let mut state = OptimizerState { counts: Vec::new(), tensors: Vec::new() };
    for name in names {
        let own = name[OPTIMIZER.len()..].to_string();
        if archive.holds_counts(&name) {
            let [count] = counts(archive, &name)?;
            state.counts.push((own, count));
        } else {
            state.tensors.push((own, archive.read(&name)?));
        }
    }
    Ok(state)
}

/// So many whole numbers.
fn counts<const N: usize>(archive: &mut Archive, name: &str) -> Result<[u64; N]> {
    if archive.shape(name) != Some(&[N]) {
        let got = archive.shape(name).map_or("none".to_string(), |shape| format!("{shape:?}"));
        return Err(unlike(format_args!("{name} of shape [{N}]"), got));
    }
    let counts = archive.counts(name)?;
    let got = counts.len();
    counts.try_into().map_err(|_| unlike(format_args!("{name} of {N} numbers"), got))
}

/// The error for a file that is no saved training run, or that of another.
fn unlike(expected: impl std::fmt::Display, got: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::File, "load", format_args!("a saved training run with {expected}"), got)
}
