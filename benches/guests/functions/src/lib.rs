//! What the transforms of the benches compute: the same source for the component and for the native baseline.

/// Mean radius of the earth, in kilometres.
pub const EARTH_RADIUS_KM: f64 = 6_371.008_8;

/// (a − b) / (c + 1).
#[inline]
pub fn arithmetic(a: f64, b: f64, c: f64) -> f64 {
    (a - b) / (c + 1.0)
}

/// The mathematical functions of a haversine, so that one formula runs on several libraries.
pub trait Libm {
    /// Sine of radians.
    fn sin(x: f64) -> f64;
    /// Cosine of radians.
    fn cos(x: f64) -> f64;
    /// Arcus sine, in radians.
    fn asin(x: f64) -> f64;
}

/// What `f64`'s methods call: the C library's functions natively, `compiler_builtins`' in a component.
#[derive(Debug, Clone, Copy)]
pub struct Std;

impl Libm for Std {
    #[inline]
    fn sin(x: f64) -> f64 {
        x.sin()
    }

    #[inline]
    fn cos(x: f64) -> f64 {
        x.cos()
    }

    #[inline]
    fn asin(x: f64) -> f64 {
        x.asin()
    }
}

/// Great-circle distance of two points in degrees (latitude, longitude), in kilometres: the haversine formula (R. W.
/// Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984).
#[inline]
pub fn haversine_km<M: Libm>(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (from_latitude, to_latitude) = (from.0.to_radians(), to.0.to_radians());
    let half_latitude = M::sin((to_latitude - from_latitude) / 2.0);
    let half_longitude = M::sin((to.1 - from.1).to_radians() / 2.0);
    let h =
        half_latitude * half_latitude + M::cos(from_latitude) * M::cos(to_latitude) * half_longitude * half_longitude;
    // Rounding may bring antipodes a little above 1.
    2.0 * EARTH_RADIUS_KM * M::asin(h.min(1.0).sqrt())
}

/// An order line `sku; quantity; price`, with any space around its parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'a> {
    /// What was ordered.
    pub sku: &'a str,
    /// How many; none where it is no integer.
    pub quantity: Option<i64>,
    /// Price of one; none where it is no number.
    pub price: Option<f64>,
}

/// Reads an order line.
#[inline]
pub fn parse(text: &str) -> Line<'_> {
    let mut parts = text.split(';').map(str::trim);
    let sku = parts.next().unwrap_or_default();
    let quantity = parts.next().and_then(|part| part.parse().ok());
    let price = parts.next().and_then(|part| part.parse().ok());
    Line { sku, quantity, price }
}
