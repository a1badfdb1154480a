//! What a store answers: Prometheus' JSON. Nothing of it is believed that does not fit.

use super::labels::Labels;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The series of an answer, with their values.
#[derive(serde::Deserialize)]
pub(super) struct Found {
    #[serde(default)]
    pub(super) result: Vec<Series>,
}

/// A series and its values, as they were told.
#[derive(serde::Deserialize)]
pub(super) struct Series {
    pub(super) metric: Named,
    #[serde(default)]
    pub(super) values: Vec<Sample>,
}

/// The labels of a series.
pub(super) struct Named(pub(super) Labels);

/// A time in milliseconds since the Unix epoch, and a value; not a number where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample(pub(super) i64, pub(super) f64);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Named, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named, A::Error> {
                let mut labels = Labels::new();
                while let Some(pair) = map.next_entry()? {
                    labels.push(pair);
                }
                Ok(Named(labels))
            }
        }
        from.deserialize_map(Pairs)
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Sample, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Sample;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time and a value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sample, A::Error> {
                let short = || A::Error::custom("a sample that is none");
                let time: f64 = seq.next_element()?.ok_or_else(short)?;
                // Beyond, milliseconds are no whole numbers any more.
                if time.abs() > 1e12 {
                    return Err(A::Error::custom("a time beyond all"));
                }
                let Number(value) = seq.next_element()?.ok_or_else(short)?;
                Ok(Sample((time * 1e3).round() as i64, value))
            }
        }
        from.deserialize_seq(Pair)
    }
}

/// A number that stands in quotes, or not.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Number, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom(format_args!("{text:?} is no number")))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number(f64::NAN))
            }
        }
        from.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"resultType":"matrix","result":[{"metric":{"__name__":"a","k1":"b\"c"},
        "values":[[1767571200.001,"0.1"],[1767571201,"NaN"],[1767571202,"+Inf"],[1767571203,null],[1767571204,5]]}]}"#;

    #[test]
    fn values_are_as_they_were_told() {
        let found: Found = serde_json::from_str(ANSWER).expect("an answer");
        let series = &found.result[0];
        assert_eq!(series.metric.0[1], ("k1".to_owned(), "b\"c".to_owned()));
        let Sample(time, value) = series.values[0];
        assert_eq!((time, value), (1_767_571_200_001, 0.1));
        assert!(series.values[1].1.is_nan() && series.values[3].1.is_nan());
        assert_eq!((series.values[2].1, series.values[4].1), (f64::INFINITY, 5.0));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            r#"{"result":[{"metric":{},"values":[[1]]}]}"#,
            r#"{"result":[{"metric":{},"values":[["x","1"]]}]}"#,
            r#"{"result":[{"metric":{},"values":[[1e300,"1"]]}]}"#,
            r#"{"result":[{"metric":{},"values":[[1,"one"]]}]}"#,
            r#"{"result":[{"metric":{"a":1}}]}"#,
            r#"{"result":{}}"#,
            "[",
        ] {
            assert!(serde_json::from_str::<Found>(text).is_err(), "{text}");
        }
    }
}
