//! Functions of components, natively.

use super::*;

/// The function of a component, natively: the sum of a number's squares and the number of words, as text; it fails on the word "d".
struct Native {
    inputs: Vec<Field>,
    identity: u8,
}

impl AggregateFunction for Native {
    fn identity(&self) -> [u8; 8] {
        [self.identity; 8]
    }

    fn inputs(&self) -> &[Field] {
        &self.inputs
    }

    fn state(&self, states: &[&[u8]], events: &[ArrayRef]) -> Result<Vec<u8>, CodeError> {
        let mut sums = [0_i64; 3];
        for state in states {
            for (sum, bytes) in sums.iter_mut().zip(state.as_chunks::<8>().0) {
                *sum = sum.wrapping_add(i64::from_le_bytes(*bytes));
            }
        }
        for row in 0..events[0].len() {
            let word = events[1].as_string::<i32>();
            if word.is_valid(row) && word.value(row) == "d" {
                return Err(CodeError("no word may be d".into()));
            }
            let number = events[0].as_primitive::<Int64Type>().value(row);
            let time = events[2].as_primitive::<TimestampMicrosecondType>().value(row);
            let of_event = [number.wrapping_mul(number), i64::from(word.is_valid(row)), time];
            sums.iter_mut().zip(of_event).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
        }
        Ok(sums.map(i64::to_le_bytes).concat())
    }

    fn value(&self, states: &[&[u8]], events: &[ArrayRef], at: Timestamp) -> Result<ArrayRef, CodeError> {
        let state = self.state(states, events)?;
        Ok(Arc::new(StringArray::from(vec![format!("{state:?} at {}", at.0)])))
    }
}

fn with_function() -> Aggregates {
    let mut aggregates = aggregates(Bounds::StartIncluded, Precision::Exact);
    aggregates.functions = vec![ComponentFunction {
        component: std::path::PathBuf::from("native.wasm"),
        inputs: [("count".to_owned(), "number".to_owned())].into(),
        parameters: Default::default(),
        data_type: DataType::String,
        state_bytes_max: STATE_BYTES_DEFAULT,
    }];
    let window = |window| AggregateFeature {
        name: format!("native_{window}"),
        function: Function::Component { function: 0, output: DataType::String },
        column: None,
        filter: None,
        of: None,
        window,
        description: String::new(),
    };
    aggregates.features =
        vec![window(Window::Lifetime), window(Window::Sliding(Duration::from_micros(3 * HOUR as u64)))];
    aggregates
}

fn native(identity: u8) -> Arc<dyn AggregateFunction> {
    let inputs = vec![
        Field::new("count", DataType::Int64, false),
        Field::new("word", DataType::String, true),
        Field::new("event_time", DataType::Timestamp, false),
    ];
    Arc::new(Native { inputs, identity })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn functions_of_components_know_no_order_and_no_tiles(events in events(400), cuts in proptest::collection::vec(any::<Index>(), 0..40)) {
        let aggregates = with_function();
        let plan = Plan::with_functions(&aggregates, &[native(1)]);
        let looked_at = looked_at(&plan, &events);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(events.len() + 1)).chain([0, events.len()]).collect();
        cuts.sort_unstable();
        let mut states = plan.empty();
        for cut in cuts.windows(2).rev() {
            let mut tile = plan.empty();
            (cut[0]..cut[1]).rev().for_each(|row| plan.add(&mut tile, &looked_at, row));
            let mut stored = Vec::new();
            plan.encode(&tile, &mut stored);
            plan.merge(&mut states, &plan.decode(&stored).unwrap());
        }
        let mut answers = Answers::new(&plan, 1);
        answers.push(0, &states, Timestamp(7)).unwrap();
        prop_assert_eq!(answers.take_failed(), vec![]);
        let counted = events.iter().filter(|event| event.word != Some("c") && event.number.is_some());
        let mut sums = [0_i64; 3];
        for event in counted {
            let number = event.number.unwrap_or_default();
            let of_event = [number.wrapping_mul(number), i64::from(event.word.is_some()), event.time];
            sums.iter_mut().zip(of_event).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
        }
        let state = sums.map(i64::to_le_bytes).concat();
        let mut out = plan.out(1);
        let mut of_window = plan.empty_of(0);
        plan.merge_tile(0, &mut of_window, &states);
        plan.finish(0, &of_window, Timestamp(7), &mut out).unwrap();
        plan.ask(&mut out);
        let found = out.finish().remove(0);
        prop_assert_eq!(found.as_string::<i32>().value(0), format!("{state:?} at 7"));
    }
}

#[test]
fn a_function_that_fails_fails_its_feature_alone_and_another_one_s_state_is_refused() {
    let mut aggregates = with_function();
    aggregates.filter = None;
    aggregates.features.push(AggregateFeature {
        name: "count_lifetime".to_owned(),
        function: Function::Count,
        ..aggregates.features[0].clone()
    });
    let plan = Plan::with_functions(&aggregates, &[native(1)]);
    let event = |word| Event {
        time: 5,
        created: 5,
        sequence: 0,
        amount: None,
        number: Some(3),
        word: Some(word),
        flag: None,
        until: None,
    };
    let looked_at = looked_at(&plan, &[event("a"), event("d")]);
    let mut states = plan.empty();
    plan.add(&mut states, &looked_at, 0);
    let mut good = Vec::new();
    plan.encode(&states, &mut good);
    plan.add(&mut states, &looked_at, 1);
    let mut bad = Vec::new();
    plan.encode(&states, &mut bad);
    // Why it failed is kept in the place of the state.
    let mut read = plan.decode(&bad).unwrap();
    plan.merge(&mut read, &plan.decode(&good).unwrap());
    let mut answers = Answers::new(&plan, 1);
    answers.push(0, &read, Timestamp(0)).unwrap();
    answers.push(1, &read, Timestamp(0)).unwrap();
    assert_eq!(answers.take_failed(), [(0, "no word may be d".to_owned()), (1, "no word may be d".to_owned())]);
    let found = answers.finish();
    assert!(found[0].is_null(0));
    assert_eq!(found[2].as_primitive::<Int64Type>().value(0), 3);

    let other = Plan::with_functions(&aggregates, &[native(2)]);
    assert_eq!(other.decode(&good), Err(NotAState::OtherFunction));
    assert!(NotAState::OtherFunction.to_string().contains("tandem materialize"));
    assert!(matches!(plan.decode(&good[..good.len() - 1]), Err(NotAState::Malformed)));
    // Nobody loaded it.
    let unloaded = Plan::new(&aggregates);
    let mut answers = Answers::new(&unloaded, 1);
    answers.push(0, &unloaded.empty(), Timestamp(0)).unwrap();
    assert_eq!(answers.take_failed(), [(0, "its component is not loaded".to_owned())]);
}
