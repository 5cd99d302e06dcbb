//! What optimizers remember of each parameter, and how they go through its elements.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::OptimizerState;
use crate::memory::{filled, reserve};
use crate::train::Schedule;
use crate::{Element, Error, Name, Param, Result, Tensor};

/// The step count, and up to `N` numbers for each element of each parameter.
#[derive(Clone)]
pub(super) struct State<T: Element, const N: usize> {
    steps: usize,
    params: HashMap<Name, Memory<T, N>>,
}

#[derive(Clone)]
struct Memory<T: Element, const N: usize> {
    updates: u64,
    slots: [Vec<T>; N],
}

/// What a rule may depend on besides the element.
pub(super) struct Step {
    /// The learning rate.
    pub(super) rate: f64,
    /// How often this parameter has been updated, counting this time.
    pub(super) updates: f64,
}

impl<T: Element, const N: usize> State<T, N> {
    pub(super) fn new() -> Self {
        State { steps: 0, params: HashMap::new() }
    }

    /// The learning rate of the next step.
    pub(super) fn rate(&self, schedule: &Schedule) -> Result<f64> {
        schedule.rate(self.steps)
    }

    /// Updates every trainable parameter that has a gradient. `initial` are the first values of the slots, `None` for
    /// slots that the rule does not touch: those are empty. `rule` makes the function that updates elements, given
    /// their gradients and slots; elements are independent, so it is called on pieces of a parameter, in parallel.
    pub(super) fn update<R>(
        &mut self,
        optimizer: &'static str,
        schedule: &Schedule,
        params: &mut [(Name, &mut Param<T>)],
        initial: [Option<T>; N],
        rule: impl Fn(Step) -> R,
    ) -> Result<()>
    where
        R: Fn(&mut [T], &[T], [&mut [T]; N]) + Sync,
    {
        let rate = self.rate(schedule)?;
        self.prepare(optimizer, params, initial)?;
        for (name, param) in params.iter_mut().filter(|(_, param)| param.is_trainable()) {
            let Some(memory) = self.params.get_mut(name) else { continue };
            let Some((value, grad)) = param.value_and_grad() else { continue };
            memory.updates += 1;
            let rule = rule(Step { rate, updates: memory.updates as f64 });
            split(value, grad, memory.slots.each_mut().map(|slot| &mut slot[..]), &rule);
        }
        self.steps += 1;
        Ok(())
    }

    /// Everything, under names that begin with the optimizer's; `slots` are the names of what it keeps for each parameter.
    pub(super) fn to_named(
        &self,
        optimizer: &'static str,
        slots: [&'static str; N],
    ) -> Result<OptimizerState<T>> {
        let mut params: Vec<_> = self.params.iter().collect();
        params.sort_by_key(|(name, _)| *name);
        let mut counts = vec![(format!("{optimizer}.steps"), self.steps as u64)];
        let mut tensors = Vec::new();
        for (name, memory) in params {
            counts.push((format!("{optimizer}.updates.{name}"), memory.updates));
            for (slot, values) in slots.iter().zip(&memory.slots).filter(|(_, values)| !values.is_empty()) {
                let mut copy = Vec::new();
                reserve(&mut copy, optimizer, &[values.len()])?;
                copy.extend_from_slice(values);
                tensors
                    .push((format!("{optimizer}.{slot}.{name}"), Tensor::from_vec(&[values.len()], copy)?));
            }
        }
        Ok(OptimizerState { counts, tensors })
    }

    /// The state that [`to_named`](Self::to_named) wrote down.
    pub(super) fn from_named(
        optimizer: &'static str,
        slots: [&'static str; N],
        named: OptimizerState<T>,
    ) -> Result<Self> {
        let unknown = |name: &str| Error::argument(optimizer, format_args!("a state of {optimizer}"), name);
        // The part of a name after the optimizer's and that of what is kept.
        let param_of = |name: &str, kept: &str| {
            let rest = name.strip_prefix(optimizer)?.strip_prefix('.')?.strip_prefix(kept)?;
            rest.strip_prefix('.').map(str::to_string)
        };
        let (mut steps, mut params) = (None, HashMap::new());
        for (name, count) in named.counts {
            if name.strip_prefix(optimizer) == Some(".steps") {
                steps = usize::try_from(count).ok();
            } else {
                let param = param_of(&name, "updates").ok_or_else(|| unknown(&name))?;
                let slots = std::array::from_fn(|_| Vec::new());
                params.insert(Name::from(param), Memory { updates: count, slots });
            }
        }
        for (name, values) in named.tensors {
            let place = slots.iter().zip(0..).find_map(|(slot, i)| Some((param_of(&name, slot)?, i)));
            let place = place.and_then(|(param, i)| params.get_mut(&*param)?.slots.get_mut::<usize>(i));
            *place.ok_or_else(|| unknown(&name))? = values.into_vec();
        }
        let steps = steps.ok_or_else(|| unknown("one without steps"))?;
        Ok(State { steps, params })
    }

    /// Checks the parameters, then makes memory for those that are new. Everything that can go wrong in a step does so
    /// here, before any weight has changed.
    fn prepare(
        &mut self,
        optimizer: &'static str,
        params: &[(Name, &mut Param<T>)],
        initial: [Option<T>; N],
    ) -> Result<()> {
        let active = || params.iter().filter(|(_, param)| param.is_trainable() && param.grad().is_some());
        let mut names = HashSet::new();
        for (name, param) in active() {
            if !names.insert(name) {
                let got = format_args!("{name} twice");
                return Err(Error::argument(optimizer, "parameters with different names", got));
            }
            let slots = self.params.get(name).into_iter().flat_map(|memory| memory.slots.iter().zip(initial));
            for (slot, _) in slots.filter(|(slot, initial)| initial.is_some() && !slot.is_empty()) {
                if slot.len() != param.value().len() {
                    let expected = format!("{name} with {} elements, as in the steps before", slot.len());
                    return Err(Error::shape(optimizer, expected, param.value().shape()));
                }
            }
        }
        for (name, param) in active() {
            let memory = self.params.entry(name.clone());
            let memory =
                memory.or_insert_with(|| Memory { updates: 0, slots: std::array::from_fn(|_| Vec::new()) });
            for (slot, initial) in memory.slots.iter_mut().zip(initial) {
                if let Some(initial) = initial.filter(|_| slot.is_empty()) {
                    *slot = filled(optimizer, &[param.value().len()], initial)?;
                }
            }
        }
        Ok(())
    }
}

impl<T: Element, const N: usize> fmt::Debug for State<T, N> {
    /// The counts, without millions of numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State {{ steps: {}, parameters: {} }}", self.steps, self.params.len())
    }
}

/// Calls `rule` on pieces small enough to go to different threads. Empty slots stay empty.
fn split<T: Element, const N: usize>(
    value: &mut [T],
    grad: &[T],
    slots: [&mut [T]; N],
    rule: &(impl Fn(&mut [T], &[T], [&mut [T]; N]) + Sync),
) {
    const PIECE: usize = 1 << 14;
    if value.len() <= PIECE {
        return rule(value, grad, slots);
    }
    let half = value.len() / 2;
    let (value, value_rest) = value.split_at_mut(half);
    let (grad, grad_rest) = grad.split_at(half);
    let mut halves = slots.map(|slot| slot.split_at_mut(half.min(slot.len())));
    let slots = halves.each_mut().map(|(slot, _)| std::mem::take(slot));
    let slots_rest = halves.map(|(_, rest)| rest);
    rayon::join(|| split(value, grad, slots, rule), || split(value_rest, grad_rest, slots_rest, rule));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Optimizer, Sgd};
    use crate::{ErrorKind, Tensor};

    fn param(len: usize) -> Param<f64> {
        let mut param = Param::new(Tensor::zeros(&[len]).unwrap());
        param.add_grad(Tensor::full(&[len], 1.0).unwrap()).unwrap();
        param
    }

    #[test]
    fn memory_belongs_to_the_name() {
        let mut optimizer = Sgd::new(1.0).momentum(0.5);
        let (mut a, mut b) = (param(1), param(1));
        optimizer.step(&mut [("a".into(), &mut a)]).unwrap();
        optimizer.step(&mut [("b".into(), &mut b), ("a".into(), &mut a)]).unwrap();
        assert_eq!((a.value().as_slice(), b.value().as_slice()), (&[-2.5][..], &[-1.0][..]));
    }

    #[test]
    fn two_parameters_of_one_name_or_another_size_are_errors() {
        let mut optimizer = Sgd::new(1.0).momentum(0.5);
        let (mut a, mut b) = (param(1), param(2));
        let error = optimizer.step(&mut [("a".into(), &mut a), ("a".into(), &mut b)]).unwrap_err();
        assert_eq!((error.kind(), a.value().as_slice()), (ErrorKind::Argument, &[0.0][..]));
        optimizer.step(&mut [("a".into(), &mut a)]).unwrap();
        let error = optimizer.step(&mut [("a".into(), &mut b)]).unwrap_err();
        assert_eq!((error.kind(), b.value().as_slice()), (ErrorKind::Shape, &[0.0, 0.0][..]));
    }

    #[test]
    fn a_failed_step_remembers_nothing() {
        let mut optimizer = Sgd::new(1.0).momentum(0.5);
        let (mut a, mut b, mut long) = (param(1), param(1), param(2));
        optimizer.step(&mut [("a".into(), &mut a)]).unwrap();
        assert!(optimizer.step(&mut [("b".into(), &mut b), ("b".into(), &mut long)]).is_err());
        assert!(optimizer.step(&mut [("b".into(), &mut b), ("a".into(), &mut long)]).is_err());
        // So "b" may still have any size.
        optimizer.step(&mut [("b".into(), &mut long)]).unwrap();
        assert_eq!((b.value().as_slice(), long.value().as_slice()), (&[0.0][..], &[-1.0, -1.0][..]));
    }

    #[test]
    fn a_failed_step_does_not_count() {
        let schedule = Schedule::custom(|step| if step == 1 { 0.25 } else { 1.0 });
        let mut optimizer = Sgd::new(schedule);
        let (mut a, mut b) = (param(1), param(1));
        assert_eq!(optimizer.learning_rate().unwrap(), 1.0);
        optimizer.step(&mut [("a".into(), &mut a)]).unwrap();
        assert!(optimizer.step(&mut [("a".into(), &mut a), ("a".into(), &mut b)]).is_err());
        assert_eq!(optimizer.learning_rate().unwrap(), 0.25);
    }
}
