//! `container.*`: what the cgroup path tells.

use super::{Extracted, Field, Get::One, Type::Text, text};
use crate::event::Event;

/// Falco's `container.id`: 12 characters, or `host`.
fn short(event: &Event) -> Extracted<'_> {
    let id = event.process.container_id.as_deref();
    text(id.map_or("host", |id| id.get(..12).unwrap_or(id)))
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("container.id", Text, "first 12 characters, or host", One(|c| short(c.event))),
        Field::new("container.full_id", Text, "the whole id", One(|c| text(c.event.process.container_id.as_deref()?))),
    ]
}
