//! Requests that wait together share a call, and none can tell.

use std::time::{Duration, Instant};

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use futures::FutureExt as _;
use futures::executor::block_on;
use futures::future::join_all;
use misbehaving_guest::mode;
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_engine::{
    BreakerOptions, Engine, EngineError, EngineOptions, OnDemand, OnDemandOptions, ReuseOptions, Session, Transform,
    TrialOptions, Workers,
};

use super::hostile::modes;
use crate::harness::guests::Guest;
use crate::harness::rows::{Dirt, batch, fixed_rows};

#[test]
fn requests_together_get_what_each_gets_alone() {
    let limits = TransformLimits { fuel_base: 20_000_000, ..TransformLimits::default() };
    let transform = Guest::Misbehaving.bind(&limits);
    // One worker and many requests: all but the first wait together. Some trap, some are empty, one is larger than a shared call may be.
    let requests: Vec<Vec<i64>> = (0..60)
        .map(|request: i64| match request % 6 {
            0 => vec![request + 100],
            1 => vec![mode::PANIC],
            2 => (0..request).map(|row| row + 200).collect(),
            3 => vec![],
            4 => vec![300, mode::NOT_UTF8, 301, mode::LONG_MESSAGE],
            _ => vec![mode::STRAY_NAN; 20],
        })
        .collect();
    for shared_rows_max in [1, 16, 4096] {
        let on_demand = OnDemand::new(
            transform.clone(),
            Workers::start(1),
            OnDemandOptions { shared_rows_max, ..OnDemandOptions::default() },
        );
        let answers = block_on(join_all(requests.iter().map(|request| on_demand.apply(modes(request)))));
        for (request, answer) in std::iter::zip(&requests, answers) {
            let (answer, alone) = (answer.unwrap(), transform.apply(&modes(request)).unwrap());
            assert_eq!(answer.outputs, alone.outputs, "{request:?}");
            assert_eq!(answer.failures, alone.failures, "{request:?}");
        }
    }
}

#[test]
fn a_shared_call_that_fails_as_a_whole_is_called_request_by_request() {
    let limits = TransformLimits { failed_rows_max: 2, ..TransformLimits::default() };
    let transform = Guest::Misbehaving.bind(&limits);
    let on_demand = OnDemand::new(transform.clone(), Workers::start(1), OnDemandOptions::default());
    // Together four rows trap, which is more than may; alone the first request is within the limit, the third is not.
    let requests = [vec![mode::PANIC, 100], vec![101], vec![mode::PANIC; 3]];
    let answers = block_on(join_all(requests.iter().map(|request| on_demand.apply(modes(request)))));
    let failed: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().ok().map(|outcome| outcome.failures.len())).collect();
    assert_eq!(failed, [Some(1), Some(0), None]);
}

#[test]
fn every_type_is_the_same_shared_or_alone() {
    let transform = Guest::EveryType.bind(&TransformLimits::default());
    let inputs = batch(transform.signature(), &fixed_rows(120), Dirt::default());
    let on_demand = OnDemand::new(transform.clone(), Workers::start(2), OnDemandOptions::default());
    let whole = transform.apply(&inputs).unwrap().outputs;
    let answers = block_on(join_all((0..40).map(|request| on_demand.apply(inputs.slice(request * 3, 3)))));
    for (request, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap().outputs, whole.slice(request * 3, 3));
    }
}

#[test]
fn a_request_that_is_tried_first_gets_what_it_gets_from_a_worker() {
    let limits = TransformLimits { fuel_base: 20_000_000, ..TransformLimits::default() };
    let transform = Guest::Misbehaving.bind(&limits);
    let tiny = TrialOptions { fuel: 1, ..TrialOptions::default() };
    for trial in [None, Some(TrialOptions::default()), Some(tiny)] {
        let options = OnDemandOptions { trial, ..OnDemandOptions::default() };
        let on_demand = OnDemand::new(transform.clone(), Workers::start(1), options);
        // A trap, a row that the transform refuses, no rows, more rows than are tried, an endless loop.
        for request in [
            vec![100],
            vec![mode::PANIC, 101],
            vec![102, mode::LONG_MESSAGE],
            vec![],
            (200..240).collect(),
            vec![mode::SPIN, 103],
            vec![104],
        ] {
            let (answer, alone) = (block_on(on_demand.apply(modes(&request))), transform.apply(&modes(&request)));
            let (answer, alone) = (answer.unwrap(), alone.unwrap());
            assert_eq!((answer.outputs, answer.failures), (alone.outputs, alone.failures), "{request:?} {trial:?}");
        }
    }
}

#[test]
fn a_trial_runs_on_the_thread_that_asks_and_a_miss_sends_the_next_to_workers() {
    let transform = Guest::Misbehaving.bind(&TransformLimits::default());
    let options = OnDemandOptions { trial: Some(TrialOptions::default()), ..OnDemandOptions::default() };
    let workers = Workers::start(1);
    // The only worker is held up, so what is answered was answered here.
    let (release, held) = std::sync::mpsc::channel::<()>();
    workers.submit(move || {
        let _ = held.recv();
    });
    let on_demand = OnDemand::new(transform, workers, options);
    assert!(on_demand.apply(modes(&[100])).now_or_never().is_some_and(|answer| answer.is_ok()));
    let mut trapping = Box::pin(on_demand.apply(modes(&[mode::PANIC])));
    assert!((&mut trapping).now_or_never().is_none(), "a trap goes to the worker");
    let mut next = Box::pin(on_demand.apply(modes(&[100])));
    assert!((&mut next).now_or_never().is_none(), "and so does the next request");
    release.send(()).unwrap();
    assert_eq!(block_on(trapping).unwrap().failures.len(), 1);
    assert_eq!(block_on(next).unwrap().failures.len(), 0);
}

/// A function that asks for one row and gives its first output; None where the row failed.
fn asking(on_demand: &OnDemand) -> impl Fn(i64) -> Option<i64> {
    move |row| {
        let outcome = block_on(on_demand.apply(modes(&[row]))).unwrap();
        outcome.failures.is_empty().then(|| outcome.outputs.column(0).as_primitive::<Int64Type>().value(0))
    }
}

fn reusing(transform: &Transform, bounds: ReuseOptions) -> OnDemand {
    let trial = Some(TrialOptions::default()); // which is not made
    let options = OnDemandOptions { reuse: Some(bounds), trial, ..OnDemandOptions::default() };
    OnDemand::new(transform.clone(), Workers::start(1), options)
}

#[test]
fn an_instance_is_reused_for_so_many_calls_and_no_more() {
    let transform = Guest::Misbehaving.bind(&TransformLimits { fuel_base: 20_000_000, ..TransformLimits::default() });
    let on_demand = reusing(&transform, ReuseOptions { calls_max: 3, ..ReuseOptions::default() });
    let ask = asking(&on_demand);
    let counted: Vec<_> = (0..7).map(|_| ask(mode::COUNT_CALLS)).collect();
    assert_eq!(counted, [1, 2, 3, 1, 2, 3, 1].map(Some));
    // What ends an instance is not waited for; the next call has a fresh one.
    for end in [mode::PANIC, mode::SPIN, mode::NOT_UTF8] {
        assert_eq!((ask(end), ask(mode::COUNT_CALLS)), (None, Some(1)));
    }

    let fresh = OnDemand::new(transform.clone(), Workers::start(1), OnDemandOptions::default());
    let limits = TransformLimits::default();
    let small =
        reusing(&Guest::Misbehaving.bind(&limits), ReuseOptions { memory_bytes_max: 0, ..ReuseOptions::default() });
    for on_demand in [&fresh, &small] {
        let ask = asking(on_demand);
        assert_eq!([ask(mode::COUNT_CALLS), ask(mode::COUNT_CALLS)], [Some(1); 2], "each call has its own");
    }
}

#[test]
fn instances_that_wait_are_bounded_and_end_with_whom_they_are_for() {
    // Room for one that waits.
    let options = EngineOptions { instances_max: 4, ..EngineOptions::default() };
    let component = Engine::new(options).unwrap().load(&Guest::Misbehaving.bytes(), NanMode::Boundary).unwrap();
    let bind = || component.bind(&Parameters::new(), &TransformLimits::default()).unwrap();
    let [a, b] = [bind(), bind()].map(|transform| reusing(&transform, ReuseOptions::default()));
    let (ask_a, ask_b) = (asking(&a), asking(&b));
    let count = mode::COUNT_CALLS;
    assert_eq!([ask_a(count), ask_a(count)], [1, 2].map(Some));
    assert_eq!([ask_b(count), ask_b(count)], [1, 2].map(Some), "another transform never gets it");
    assert_eq!([ask_a(count), ask_b(count)], [Some(1); 2], "each makes place for the other");
    // All four instances may be alive: nothing waits for those that are gone.
    drop((ask_a, ask_b));
    drop((a, b));
    let transform = bind();
    let deadline = Instant::now() + Duration::from_secs(30);
    // The worker may still be about to let go of the last request.
    let _four: Vec<Session> = loop {
        let mut sessions: Vec<_> = (0..4).map(|_| transform.session()).collect();
        if sessions.iter_mut().all(|session| session.apply(&modes(&[100])).is_ok()) {
            break sessions;
        }
        assert!(Instant::now() < deadline, "an instance waits for a transform that nobody calls");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(transform.apply(&modes(&[100])).is_err(), "and no fifth");
}

#[test]
fn requests_to_reused_instances_get_what_each_gets_alone() {
    let transform = Guest::EveryType.bind(&TransformLimits::default());
    let inputs = batch(transform.signature(), &fixed_rows(120), Dirt::default());
    let options = OnDemandOptions { reuse: Some(ReuseOptions::default()), ..OnDemandOptions::default() };
    let on_demand = OnDemand::new(transform.clone(), Workers::start(2), options);
    let whole = transform.apply(&inputs).unwrap().outputs;
    for _ in 0..8 {
        let answers = block_on(join_all((0..40).map(|request| on_demand.apply(inputs.slice(request * 3, 3)))));
        for (request, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap().outputs, whole.slice(request * 3, 3));
        }
    }
}

#[test]
fn a_transform_never_has_more_workers_than_its_share() {
    let limits = TransformLimits { fuel_base: u64::MAX >> 8, call_seconds_max: 2, ..TransformLimits::default() };
    let transform = Guest::Misbehaving.bind(&limits);
    let workers = Workers::start(2);
    let options = OnDemandOptions { workers_max: Some(1), shared_rows_max: 1, ..OnDemandOptions::default() };
    let hanging = OnDemand::new(transform.clone(), workers.clone(), options);
    let other = OnDemand::new(transform, workers, options);
    // Each is a call of its own that hangs for two seconds.
    let mut hung: Vec<_> = (0..3).map(|_| Box::pin(hanging.apply(modes(&[mode::SPIN])))).collect();
    assert!(hung.iter_mut().all(|call| call.now_or_never().is_none()));
    let answers = block_on(join_all((0..20).map(|request| other.apply(modes(&[request + 100])))));
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|outcome| outcome.failures.is_empty())));
    assert!(hanging.waiting() >= 1, "the other view was answered while calls of this one had not even begun");
    for call in hung {
        assert_eq!(block_on(call).unwrap().failures.len(), 1, "each gets its turn");
    }
}

#[test]
fn as_many_wait_as_may_and_more_are_refused_at_once() {
    let limits = TransformLimits { fuel_base: u64::MAX >> 8, call_seconds_max: 1, ..TransformLimits::default() };
    let breaker = BreakerOptions { failures: 2, pause: Duration::from_secs(60) };
    let options = OnDemandOptions {
        workers_max: Some(1),
        waiting_max: Some(2),
        breaker: Some(breaker),
        ..OnDemandOptions::default()
    };
    let on_demand = OnDemand::new(Guest::Misbehaving.bind(&limits), Workers::start(1), options);
    let mut hung = Box::pin(on_demand.apply(modes(&[mode::SPIN])));
    assert!((&mut hung).now_or_never().is_none());
    let deadline = Instant::now() + Duration::from_secs(20);
    while on_demand.waiting() > 0 {
        assert!(Instant::now() < deadline, "the call never begins");
        std::thread::yield_now();
    }
    let mut waiting: Vec<_> = (0..2).map(|row| Box::pin(on_demand.apply(modes(&[row + 100])))).collect();
    assert!(waiting.iter_mut().all(|call| call.now_or_never().is_none()));
    for _ in 0..5 {
        let refused = on_demand.apply(modes(&[300])).now_or_never().expect("at once");
        assert!(matches!(refused, Err(EngineError::QueueFull { max: 2 })), "{refused:?}");
    }
    assert!(!on_demand.is_open(), "that many ask is not the transform's doing");
    assert_eq!(block_on(hung).unwrap().failures.len(), 1);
    for call in waiting {
        assert!(block_on(call).unwrap().failures.is_empty(), "who waits is answered");
    }
    assert!(block_on(on_demand.apply(modes(&[300]))).is_ok(), "there is room again");
}

#[test]
fn calls_that_keep_failing_open_the_circuit_and_rows_that_are_refused_do_not() {
    let transform = Guest::Misbehaving.bind(&TransformLimits::default());
    let breaker = BreakerOptions { failures: 3, pause: Duration::from_millis(200) };
    let options = OnDemandOptions { breaker: Some(breaker), ..OnDemandOptions::default() };
    let on_demand = OnDemand::new(transform, Workers::start(1), options);
    let call = |request: &[i64]| block_on(on_demand.apply(modes(request)));
    for _ in 0..5 {
        assert!(call(&[mode::FAILURE]).is_ok(), "the transform says no: it works");
        assert!(call(&[mode::PANIC, 100]).is_ok(), "one row of two has its value");
    }
    assert!(!on_demand.is_open());
    (0..3).for_each(|_| assert_eq!(call(&[mode::PANIC]).unwrap().failures.len(), 1));
    assert!(on_demand.is_open());
    assert!(matches!(call(&[100]), Err(EngineError::CircuitOpen { failures: 3, seconds: 1 })));
    std::thread::sleep(Duration::from_millis(250));
    assert!(call(&[100]).is_ok());
    assert!(!on_demand.is_open());

    // A call that is still under way when its time is over is a failure too.
    for _ in 0..3 {
        let late = block_on(on_demand.apply_until(modes(&[mode::SPIN]), async {}));
        assert!(matches!(late, Ok(None)), "{late:?}");
    }
    assert!(on_demand.is_open());
}
