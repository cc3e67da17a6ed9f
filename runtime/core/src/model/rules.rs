//! What a view says of its rows and of calls: each a word of a definition file.

/// Whether a feature row at exactly the label's time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// `event_time <= T`.
    AtOrBefore,
    /// `event_time < T`.
    Before,
}

impl AsOf {
    /// Every variant.
    pub const ALL: [AsOf; 2] = [AsOf::AtOrBefore, AsOf::Before];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            AsOf::AtOrBefore => "at_or_before",
            AsOf::Before => "before",
        }
    }
}

/// What "known by T" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBy {
    /// `created_time <= T`.
    Created,
    /// The time at which Tandem made the row visible, at most T.
    Published,
    /// Only the event time counts.
    Event,
}

impl KnownBy {
    /// Every variant.
    pub const ALL: [KnownBy; 3] = [KnownBy::Created, KnownBy::Published, KnownBy::Event];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            KnownBy::Created => "created",
            KnownBy::Published => "published",
            KnownBy::Event => "event",
        }
    }
}

/// What becomes of published rows when their partition is computed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Rows that changed are added, and those that they replace still count for the labels of their time.
    Append,
    /// Rows that changed replace those that were there.
    Replace,
}

impl History {
    /// Every variant.
    pub const ALL: [History; 2] = [History::Append, History::Replace];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            History::Append => "append",
            History::Replace => "replace",
        }
    }
}

/// What becomes of a row whose transform fails in batch, or that breaks the contract of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The run stops, nothing of the partition is published.
    Fail,
    /// The row is set aside with its error, the others are published.
    Quarantine,
}

impl OnError {
    /// Every variant.
    pub const ALL: [OnError; 2] = [OnError::Fail, OnError::Quarantine];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            OnError::Fail => "fail",
            OnError::Quarantine => "quarantine",
        }
    }
}

/// How the engine treats NaN inside a transform. At the boundary NaN is canonical either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NanMode {
    /// At the boundary only.
    Boundary,
    /// After every floating-point instruction, at about three times the cost of float loops.
    Strict,
}

impl NanMode {
    /// Every variant.
    pub const ALL: [NanMode; 2] = [NanMode::Boundary, NanMode::Strict];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            NanMode::Boundary => "boundary",
            NanMode::Strict => "strict",
        }
    }
}

/// How long an instance lives that answers requests on demand. It changes no value: a component is proved to give the same bits in an
/// instance that was used before, or it is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceMode {
    /// One call: nothing can pass from one call to another.
    PerCall,
    /// Several calls, as many as a proof covers; what is registered only.
    Reused,
}

impl InstanceMode {
    /// Every variant.
    pub const ALL: [InstanceMode; 2] = [InstanceMode::PerCall, InstanceMode::Reused];

    /// Its word in definition files; not part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            InstanceMode::PerCall => "per_call",
            InstanceMode::Reused => "reused",
        }
    }
}
