//! Where card holders live and what they buy.

/// A city: name of nothing but its country, currency, place and merchants matters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct City {
    /// ISO 3166-1 alpha-2.
    pub(crate) country: &'static str,
    /// ISO 4217.
    pub(crate) currency: &'static str,
    /// Degrees north.
    pub(crate) latitude: f64,
    /// Degrees east.
    pub(crate) longitude: f64,
    /// What a unit of euro prices is in this currency.
    pub(crate) price_level: f64,
    /// The most visited first.
    pub(crate) merchants: &'static [Merchant],
}

/// A merchant. Amounts are log-normal: `median` times e^(0.6 × normal).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merchant {
    /// As it stands on the receipt, with the receipt's spaces and capitals.
    pub(crate) name: &'static str,
    /// Median amount, in euro.
    pub(crate) median: f64,
    /// Whether it sells over the internet only.
    pub(crate) online: bool,
}

const fn shop(name: &'static str, median: f64) -> Merchant {
    Merchant { name, median, online: false }
}

const fn online(name: &'static str, median: f64) -> Merchant {
    Merchant { name, median, online: true }
}

/// Vienna, Berlin, Madrid, Tokyo, Paris, Buenos Aires, Athens, New York.
pub(crate) const CITIES: [City; 8] = [
    City {
        country: "AT",
        currency: "EUR",
        latitude: 48.2082,
        longitude: 16.3738,
        price_level: 1.0,
        merchants: &[
            shop("Bäckerei Müller", 6.0),
            shop("SUPERMARKT Döbling", 38.0),
            shop("Wiener Linien", 3.0),
            online("Wetten & Spaß GmbH", 45.0),
            shop("Café Sperl ☕", 12.0),
        ],
    },
    City {
        country: "DE",
        currency: "EUR",
        latitude: 52.52,
        longitude: 13.405,
        price_level: 1.0,
        merchants: &[
            shop("Spätkauf  Größe 7", 8.0),
            shop("Drogerie am Weißen See", 22.0),
            online("Bücher.de", 27.0),
            shop("Straßenbahn", 3.5),
        ],
    },
    City {
        country: "ES",
        currency: "EUR",
        latitude: 40.4168,
        longitude: -3.7038,
        price_level: 0.9,
        merchants: &[shop("Café Ñandú", 5.0), shop("Churrería El Niño", 7.5), shop("  Farmacia Martínez ", 18.0)],
    },
    City {
        country: "JP",
        currency: "JPY",
        latitude: 35.6762,
        longitude: 139.6503,
        price_level: 165.0,
        merchants: &[shop("寿司 さくら", 24.0), shop("コンビニ　銀座", 6.0), online("オンライン書店", 19.0)],
    },
    City {
        country: "FR",
        currency: "EUR",
        latitude: 48.8566,
        longitude: 2.3522,
        price_level: 1.1,
        merchants: &[
            shop("Boulangerie L’Épi d’Or", 5.5),
            shop("Fromagerie Chloé", 21.0),
            online("Casino en ligne", 60.0),
        ],
    },
    City {
        country: "AR",
        currency: "ARS",
        latitude: -34.6037,
        longitude: -58.3816,
        price_level: 1_100.0,
        merchants: &[shop("Panadería Güemes", 4.0), shop("Librería Ñ", 15.0)],
    },
    City {
        country: "GR",
        currency: "EUR",
        latitude: 37.9838,
        longitude: 23.7275,
        price_level: 0.8,
        merchants: &[shop("Ταβέρνα Ο Πλάτανος", 26.0), shop("ΦΑΡΜΑΚΕΙΟ", 14.0)],
    },
    City {
        country: "US",
        currency: "USD",
        latitude: 40.7128,
        longitude: -74.006,
        price_level: 1.2,
        merchants: &[
            shop("🍕 Da Mario", 16.0),
            shop("Bagels & Co.", 9.0),
            online("Crypto Gift Cards", 110.0),
            shop("Gas 'n' Go #42", 41.0),
        ],
    },
];
