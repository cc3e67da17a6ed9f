//! Features of a line of an order, in Rust. What it computes is written down in the README beside this folder.

use tandem_sdk::prelude::*;

/// A line of an order.
#[derive(Input)]
pub struct OrderLine<'a> {
    /// Number of the order.
    pub order_id: i64,
    /// Price of one piece, as text.
    pub price: &'a str,
    /// Pieces.
    pub quantity: i64,
    /// Share that is taken off; null where there is none.
    pub discount: Option<f64>,
    /// Title of the article.
    pub title: Option<&'a str>,
    /// Embedding of the article.
    pub embedding: Option<&'a [f32; 4]>,
}

/// Its features.
#[derive(Output)]
pub struct Features {
    /// What is to be paid.
    pub net: f64,
    /// Whether that is much.
    pub is_large: bool,
    /// Order number modulo 1000.
    pub bucket: i64,
    /// Characters of the title.
    pub title_length: Option<i64>,
    /// The title in ASCII letters, digits and dashes.
    pub slug: Option<String>,
    /// Length of the embedding.
    pub norm: Option<f64>,
    /// The embedding with length 1; null where it has none.
    pub unit: Option<[f32; 4]>,
}

/// What a view's definition may set.
#[derive(Parameters)]
pub struct Settings {
    /// What is to be paid from which on it is much.
    pub large: Option<f64>,
}

/// Features of a line of an order.
#[transform]
pub fn features(row: OrderLine<'_>, settings: &Settings) -> Result<Features, RowError> {
    let price = parse_price(row.price).ok_or_else(|| RowError::field("price", "not a number"))?;
    if row.quantity < 0 {
        return Err(RowError::field("quantity", "must not be negative"));
    }
    let net = price * row.quantity as f64 * (1.0 - row.discount.unwrap_or(0.0));
    let norm = row.embedding.map(norm);
    Ok(Features {
        net,
        is_large: net >= settings.large.unwrap_or(100.0),
        bucket: row.order_id.rem_euclid(1000),
        title_length: row.title.map(|title| title.chars().count() as i64),
        slug: row.title.map(slug),
        norm,
        unit: row
            .embedding
            .zip(norm)
            .filter(|(_, norm)| *norm != 0.0)
            .map(|(vector, norm)| vector.map(|value| (f64::from(value) / norm) as f32)),
    })
}

/// A minus sign or none, 1 to 12 digits, then nothing or a full stop and 1 to 6 digits.
fn parse_price(text: &str) -> Option<f64> {
    let digits = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let is_number = match unsigned.split_once('.') {
        None => digits(unsigned, 12),
        Some((whole, fraction)) => digits(whole, 12) && digits(fraction, 6),
    };
    if is_number { text.parse().ok() } else { None }
}

fn slug(title: &str) -> String {
    let lower = title.to_ascii_lowercase();
    let words = lower.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// Squares are added one after another.
fn norm(vector: &[f32; 4]) -> f64 {
    let squares = vector.iter().map(|value| f64::from(*value) * f64::from(*value));
    squares.fold(0.0, |sum, square| sum + square).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_one_form() {
        for (text, value) in [("19.99", 19.99), ("-0.000001", -1e-6), ("007", 7.0), ("0", 0.0)] {
            assert_eq!(parse_price(text), Some(value), "{text}");
        }
        for text in ["", "-", ".5", "5.", "+1", "1e3", "1_000", " 5", "1.2.3", "٣", "inf", "1234567890123", "0.1234567"]
        {
            assert_eq!(parse_price(text), None, "{text}");
        }
    }

    #[test]
    fn slugs_have_ascii_alone() {
        assert_eq!(slug("Café au lait, 250 g"), "caf-au-lait-250-g");
        assert_eq!(slug("-- 😀 A&B __"), "a-b");
        assert_eq!(slug("寿司"), "");
    }

    #[test]
    fn squares_are_added_plainly() {
        assert_eq!(norm(&[3.0, 4.0, 0.0, 0.0]), 5.0);
        assert_eq!(norm(&[1e8, 1.0, 1.0, 0.0]), 1e8);
    }
}
