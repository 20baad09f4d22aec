//! `flow.*`: what Falco has no field for.

use super::{
    Argument, Field,
    Get::One,
    State,
    Type::{Bool, Ip, Port, Uint64},
    Value, unsigned,
};
use crate::event::{Kind, Part};

/// The client's own end is not redirected: its connect names what it means.
fn of_accept(kind: Kind, _argument: &Argument) -> State {
    if kind == Kind::Accept {
        State::Given
    } else {
        State::Absent
    }
}

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
        Field::new(
            "flow.original.ip",
            Ip,
            "of an accept: the address that the client named, whatever a filter made of it",
            One(|c| Some(Value::Ip(c.event.original?.ip))),
        )
        .of(Part::Original)
        .by_kind(of_accept),
        Field::new(
            "flow.original.port",
            Port,
            "of an accept: the port that the client named",
            One(|c| unsigned(c.event.original?.port)),
        )
        .of(Part::Original)
        .by_kind(of_accept),
    ]
}
