//! `flow.*`: what Falco has no field for.

use super::{
    Field,
    Get::One,
    Type::{Bool, Uint64},
    Value, unsigned,
};

pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new(
            "flow.cookie",
            Uint64,
            "joins attempt and outcome, and two accepts of one connection by different processes",
            One(|c| unsigned(c.event.socket.cookie)),
        ),
        Field::new(
            "flow.found",
            Bool,
            "the socket was open before the detector watched it: found, not seen",
            One(|c| Some(Value::Bool(c.event.found))),
        ),
    ]
}
