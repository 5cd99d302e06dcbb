//! Losses, optimizers and the training loop with options and data that make no sense.

use proptest::collection::vec;
use proptest::prelude::*;
use striate::train::{
    Accuracy, Adagrad, Adam, AdamW, BinaryAccuracy, BinaryCrossEntropy, Clip, EarlyStopping, Huber, Loss,
    MeanAbsoluteError, MeanSquaredError, Metric, Optimizer, Reduction, RmsProp, Schedule, Scores, Sgd,
    SmoothL1, SoftmaxCrossEntropy, Targets, TopK, Trainer, predict,
};
use striate::{Dense, Flatten, Layer, Param, Rng, Tensor, sequential};

use crate::allocator::frugal;
use crate::common::config;
use crate::wild;

fn targets() -> impl Strategy<Value = Targets> {
    prop_oneof![
        vec(0..4_usize, 0..12).prop_map(Targets::Labels),
        vec(wild::count(), 0..12).prop_map(Targets::Labels),
        wild::tensor().prop_map(Targets::Values),
    ]
}

fn losses() -> impl Strategy<Value = Vec<Box<dyn Loss>>> {
    let reduction = proptest::sample::select(vec![Reduction::Mean, Reduction::Sum, Reduction::None]);
    let scores =
        proptest::sample::select(vec![Scores::Logits, Scores::Probabilities, Scores::LogProbabilities]);
    let weights = proptest::option::of(vec(wild::number(), 0..5));
    (reduction, scores, weights, proptest::option::of(wild::count()), wild::number(), any::<bool>()).prop_map(
        |(reduction, scores, weights, ignored, number, logits)| {
            let mut entropy = SoftmaxCrossEntropy::new().scores(scores).reduction(reduction);
            entropy = entropy.label_smoothing(number);
            if let Some(weights) = weights {
                entropy = entropy.class_weights(weights);
            }
            if let Some(label) = ignored {
                entropy = entropy.ignore_index(label);
            }
            let binary = BinaryCrossEntropy::new().from_logits(logits).label_smoothing(number);
            let losses: Vec<Box<dyn Loss>> = vec![
                Box::new(entropy),
                Box::new(binary.reduction(reduction)),
                Box::new(MeanSquaredError::new().reduction(reduction)),
                Box::new(MeanAbsoluteError::new().reduction(reduction)),
                Box::new(SmoothL1::new(number).reduction(reduction)),
                Box::new(Huber::new(number).reduction(reduction)),
            ];
            losses
        },
    )
}

fn schedules() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        wild::number().prop_map(Schedule::Constant),
        (wild::number(), wild::count(), wild::number())
            .prop_map(|(rate, every, factor)| Schedule::step(rate, every, factor)),
        (wild::number(), wild::count()).prop_map(|(rate, steps)| Schedule::cosine(rate, steps)),
        (wild::number(), wild::count()).prop_map(|(rate, steps)| Schedule::Constant(rate).warm_up(steps)),
        wild::number().prop_map(|rate| Schedule::custom(move |_| rate)),
    ]
}

fn optimizers() -> impl Strategy<Value = Vec<Box<dyn Optimizer>>> {
    (schedules(), wild::number(), wild::number(), any::<bool>()).prop_map(|(rate, a, b, flag)| {
        let adam = Adam::new(rate.clone()).beta_1(a).beta_2(b);
        let decayed = AdamW::new(rate.clone()).weight_decay(a).epsilon(b);
        let rms = RmsProp::new(rate.clone()).rho(a).momentum(b).centered(flag);
        let optimizers: Vec<Box<dyn Optimizer>> = vec![
            Box::new(Sgd::new(rate.clone()).momentum(a).nesterov(flag).weight_decay(b)),
            Box::new(if flag { adam.epsilon(b) } else { adam }),
            Box::new(decayed),
            Box::new(rms),
            Box::new(Adagrad::new(rate).initial_accumulator_value(a).epsilon(b)),
        ];
        optimizers
    })
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn losses_take_or_refuse_anything(losses in losses(), x in wild::tensor(), targets in targets(), grad in wild::tensor()) {
        for loss in losses {
            let value = frugal(|| loss.forward(&x, &targets));
            let _ = frugal(|| loss.backward(&x, &targets, &grad));
            let _ = frugal(|| loss.weight(&x, &targets));
            match frugal(|| loss.value_and_grad(&x, &targets)) {
                Ok((again, grad)) => {
                    let value = value?;
                    prop_assert_eq!(value.shape(), again.shape());
                    prop_assert_eq!(grad.shape(), x.shape());
                }
                Err(error) => prop_assert_eq!(value.err(), Some(error)),
            }
        }
        let metrics: [Box<dyn Metric>; 3] =
            [Box::new(Accuracy::new()), Box::new(TopK::new(2)), Box::new(BinaryAccuracy::new())];
        for mut metric in metrics {
            let _ = frugal(|| metric.update(&x, &targets));
            prop_assert!((0.0..=1.0).contains(&metric.value()));
        }
    }

    #[test]
    fn optimizers_take_or_refuse_any_option(
        optimizers in optimizers(),
        (value, grad) in (wild::tensor(), wild::tensor()),
        (clip, step) in (wild::number(), wild::count()),
        schedule in schedules(),
    ) {
        let _ = frugal(|| schedule.rate(step));
        for mut optimizer in optimizers {
            let mut param = Param::new(value.clone());
            let _ = param.add_grad(grad.clone());
            for clip in [Clip::Value(clip), Clip::Norm(clip), Clip::GlobalNorm(clip)] {
                let _ = frugal(|| clip.apply(&mut [("w".into(), &mut param)]));
            }
            for _ in 0..2 {
                if frugal(|| optimizer.step(&mut [("w".into(), &mut param)])).is_err() {
                    prop_assert!(crate::common::same_bits(param.value().as_slice(), value.as_slice()));
                }
            }
            let _ = optimizer.learning_rate();
            let mut other = param.clone();
            let twice = frugal(|| optimizer.step(&mut [("w".into(), &mut param), ("w".into(), &mut other)]));
            prop_assert!(twice.is_err() || param.grad().is_none(), "two weights of one name");
        }
    }
}

proptest! {
    #![proptest_config(config(1000))]

    /// The loop with any data and options: it may train, diverge or refuse.
    #[test]
    fn trainers_take_or_refuse_anything(
        (x, targets) in (wild::tensor(), targets()),
        (batch, epochs, share) in (wild::count(), 0..3_usize, proptest::option::of(wild::number())),
        (rate, delta, patience) in (wild::number(), wild::number(), wild::count()),
        ready in any::<bool>(),
    ) {
        let mut model = sequential![Flatten::new(), Dense::new(3)];
        if ready {
            let _ = model.build(&[1, 4], &mut Rng::seed(1));
        }
        let stopping = EarlyStopping::new().monitor("loss").min_delta(delta).patience(patience);
        let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Sgd::new(rate))
            .epochs(epochs)
            .batch_size(batch)
            .metric(Accuracy::new())
            .early_stopping(stopping.restore_best_weights(ready));
        if let Some(share) = share {
            trainer = trainer.validation_split(share);
        }
        if let Ok(history) = trainer.fit(&mut model, &x, &targets) {
            prop_assert!(history.epochs.len() <= epochs);
        }
        let evaluated = trainer.evaluate(&model, &x, &targets);
        let predicted = predict(&model, &x, batch);
        prop_assert!(batch > 0 || evaluated.is_err() && predicted.is_err());
    }
}

/// Batches of any size cover the samples once.
#[test]
fn batches_of_any_size_see_every_sample() {
    let x: Tensor = Tensor::from_vec(&[7, 1], (0..7_u8).map(f32::from).collect()).unwrap();
    let mut model = Dense::new(2);
    model.build(x.shape(), &mut Rng::seed(1)).unwrap();
    let whole = model.forward(&x).unwrap();
    for batch in [1, 2, 3, 7, 8, usize::MAX] {
        assert_eq!(predict(&model, &x, batch).unwrap(), whole);
    }
}
