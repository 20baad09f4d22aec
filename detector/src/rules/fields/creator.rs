//! `flow.creator.*`: who made the socket, where the process only uses it.

use super::{
    Context, Extracted, Field,
    Get::One,
    Type::{Int64, Text, Uint32},
    ancestors::ancestor_path,
    process::path,
    signed, text, unsigned,
};
use crate::event::{Ancestor, Creator, Part, Who};

fn creator(context: Context<'_>) -> Option<&Creator> {
    context.event.creator.as_ref()
}

fn relation(context: Context<'_>) -> Extracted<'_> {
    text(match creator(context)?.who {
        Who::Own => "self",
        Who::Ancestor(_) => "ancestor",
        Who::Other(_) => "other",
        Who::Gone => "gone",
        Who::Unknown => "unknown",
    })
}

fn ancestor(context: Context<'_>, index: u8) -> Option<&Ancestor> {
    context.event.process.ancestors.get(usize::from(index))
}

fn pid(context: Context<'_>) -> Extracted<'_> {
    signed(match &creator(context)?.who {
        Who::Own => context.event.process.pid,
        Who::Ancestor(index) => ancestor(context, *index)?.pid,
        Who::Other(maker) => maker.pid,
        Who::Gone | Who::Unknown => return None,
    })
}

fn name(context: Context<'_>) -> Extracted<'_> {
    text(match &creator(context)?.who {
        Who::Own => &context.event.process.comm,
        Who::Ancestor(index) => &ancestor(context, *index)?.comm,
        Who::Other(maker) => &maker.comm,
        Who::Gone | Who::Unknown => return None,
    })
}

fn executable(context: Context<'_>) -> Extracted<'_> {
    match &creator(context)?.who {
        Who::Own => path(context),
        // The process itself is the first of these.
        Who::Ancestor(index) => ancestor_path(context, usize::from(*index) + 1),
        Who::Other(maker) => text(&maker.path),
        Who::Gone | Who::Unknown => None,
    }
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("flow.creator.relation", Text, "who made the socket, of an accept the listener: self, ancestor, other, gone (it ended, or became another by exec or a change of ids), unknown", One(relation)),
        Field::new("flow.creator.pid", Int64, "its process id", One(pid)),
        Field::new("flow.creator.name", Text, "its name", One(name)),
        Field::new("flow.creator.exepath", Text, "path of its executable", One(executable)).of(Part::Ancestors),
        Field::new("flow.creator.uid", Uint32, "user id that it had", One(|c| unsigned(creator(c)?.uid))),
    ]
}
