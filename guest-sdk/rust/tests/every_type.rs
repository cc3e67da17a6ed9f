//! Every type, nullable and not, borrowed and owned, through the everyday form and back.

use tandem_sdk::{
    contract::{DataType, ItemType},
    prelude::*,
    testing::Call,
};

/// Fields of one type: owned, borrowed, and each of them nullable.
macro_rules! identity {
    ($test:ident, $input:ident, $output:ident, $function:ident, $owned:ty, $borrowed:ty, $data_type:expr, $values:expr) => {
        #[derive(Input)]
        struct $input<'a> {
            owned: $owned,
            borrowed: $borrowed,
            owned_null: Option<$owned>,
            borrowed_null: Option<$borrowed>,
            text: &'a str,
        }

        #[derive(Output)]
        struct $output<'a> {
            owned: $owned,
            borrowed: $borrowed,
            owned_null: Option<$owned>,
            borrowed_null: Option<$borrowed>,
            text: &'a str,
        }

        #[transform]
        fn $function(row: $input<'_>) -> $output<'_> {
            $output {
                owned: row.owned,
                borrowed: row.borrowed,
                owned_null: row.owned_null,
                borrowed_null: row.borrowed_null,
                text: row.text,
            }
        }

        #[test]
        fn $test() {
            let values: Vec<$owned> = $values;
            let nulls: Vec<Option<$owned>> =
                values.iter().enumerate().map(|(row, value)| (row % 2 == 0).then(|| value.clone())).collect();
            let call = Call::<$function>::new()
                .input("owned", values.clone())
                .input("borrowed", values.clone())
                .input("owned_null", nulls.clone())
                .input("borrowed_null", nulls.clone())
                .input("text", vec!["text"; values.len()]);
            for field in &call.signature().unwrap().outputs[..4] {
                assert_eq!((field.data_type, field.nullable), ($data_type, field.name.ends_with("_null")));
            }
            let results = call.apply().unwrap();
            let values: Vec<_> = values.into_iter().map(Some).collect();
            assert_eq!(results.output::<$owned>("owned"), values);
            assert_eq!(results.output::<$owned>("borrowed"), values);
            assert_eq!(results.output::<$owned>("owned_null"), nulls);
            assert_eq!(results.output::<$owned>("borrowed_null"), nulls);
            assert_eq!(results.failures(), []);
        }
    };
}

identity!(booleans, BoolIn, BoolOut, bools, bool, bool, DataType::Boolean, vec![true, true, false]);
identity!(int64s, IntIn, IntOut, ints, i64, i64, DataType::Int64, vec![i64::MIN, -1, 0, i64::MAX]);
identity!(float64s, FloatIn, FloatOut, floats, f64, f64, DataType::Float64, vec![-0.5, f64::MIN, f64::INFINITY]);
identity!(
    timestamps,
    TimeIn,
    TimeOut,
    times,
    Timestamp,
    Timestamp,
    DataType::Timestamp,
    vec![Timestamp::MIN, Timestamp::MAX]
);
identity!(
    strings,
    TextIn,
    TextOut,
    texts,
    String,
    &'a str,
    DataType::String,
    vec!["".into(), "Zürich".into(), "€".repeat(9)]
);
identity!(
    binaries,
    BlobIn,
    BlobOut,
    blobs,
    Vec<u8>,
    &'a [u8],
    DataType::Binary,
    vec![vec![], vec![0, 255], vec![7; 9]]
);
identity!(
    vectors,
    VecIn,
    VecOut,
    vecs,
    [f32; 3],
    &'a [f32; 3],
    DataType::Float32Vector(3),
    vec![[0.0, -0.5, f32::MAX], [1.0; 3]]
);
identity!(
    int64_sequences,
    IntsIn,
    IntsOut,
    int_sequences,
    Vec<i64>,
    &'a [i64],
    DataType::Sequence(ItemType::Int64),
    vec![vec![], vec![1, 2], vec![i64::MIN]]
);
identity!(
    float64_sequences,
    FloatsIn,
    FloatsOut,
    float_sequences,
    Vec<f64>,
    &'a [f64],
    DataType::Sequence(ItemType::Float64),
    vec![vec![0.5], vec![], vec![1.0, 2.0]]
);
identity!(
    string_sequences,
    TextsIn,
    TextsOut,
    text_sequences,
    Vec<String>,
    Strings<'a>,
    DataType::Sequence(ItemType::String),
    vec![vec![], vec!["".into(), "é".into()], vec!["€uro".into()]]
);

/// Types that the macros cannot know by their names: an alias, and one whose traits are implemented here. The transforms are called
/// as what the macro's code has for locals.
mod own_types {
    use tandem_sdk::{Transform, input::InputType, output::OutputType, prelude::*, testing::Call};

    type Embedding = [f32; 2];

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Cents(i64);

    impl<'a> InputType<'a> for Cents {
        type Column = &'a [i64];

        fn from_item(item: i64) -> Self {
            Self(item)
        }
    }

    impl OutputType for Cents {
        type Column = Vec<i64>;

        fn push(self, column: &mut Vec<i64>) {
            column.push(self.0);
        }
    }

    #[derive(Input)]
    struct Row {
        embedding: Option<Embedding>,
        price: Cents,
    }

    #[derive(Output)]
    struct Features {
        embedding: Option<Embedding>,
        price: Cents,
    }

    #[transform]
    fn rows(row: Row) -> Features {
        Features { embedding: row.embedding, price: row.price }
    }

    #[transform(columns)]
    fn columns(_: usize, input: RowColumns<'_>) -> FeaturesColumns {
        FeaturesColumns {
            embedding: input.embedding.iter().map(|embedding| embedding.copied()).collect(),
            price: input.price.to_vec(),
        }
    }

    fn check<T: Transform>() {
        let results = Call::<T>::new()
            .input("embedding", [Some([0.5_f32, 1.0]), None])
            .input("price", [7_i64, 9])
            .apply()
            .unwrap();
        assert_eq!(results.output::<Embedding>("embedding"), [Some([0.5, 1.0]), None]);
        assert_eq!(results.output::<i64>("price"), [Some(7), Some(9)]);
    }

    #[test]
    fn are_fields_in_both_forms() {
        check::<rows>();
        check::<columns>();
    }
}
