//! `flow.*`: what Falco has no field for.

use super::{Field, Get::One, Type::Uint64, unsigned};

pub(super) fn fields() -> Vec<Field> {
    vec![Field::new(
        "flow.cookie",
        Uint64,
        "joins attempt and outcome",
        One(|c| unsigned(c.event.socket.cookie)),
    )]
}
