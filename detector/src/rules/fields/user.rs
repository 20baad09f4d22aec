//! `user.*` and `group.*`.

use super::{
    Context, Extracted, Field,
    Get::One,
    NOT_AVAILABLE,
    Type::{Int64, Text, Uint32},
    is_known,
    process::details,
    signed, text, unsigned,
};
use crate::event::{Account, Part};

/// Falco's placeholder for the user of an unknown thread.
const NOBODY: u32 = u32::MAX;

/// Without an entry in the user table, 0 is root and others have Falco's text.
fn named<'a>(name: Option<&'a str>, id: Option<u32>) -> Extracted<'a> {
    match (name, id) {
        (Some(name), _) => text(name),
        (None, Some(0)) => text("root"),
        (None, _) => text(NOT_AVAILABLE),
    }
}

fn user_name(context: Context<'_>) -> Extracted<'_> {
    if !is_known(context) {
        return text(NOT_AVAILABLE);
    }
    let process = &context.event.process;
    named(process.user_name.as_deref(), Some(process.uid))
}

fn login_uid(context: Context<'_>) -> Option<u32> {
    context
        .event
        .process
        .login_uid
        .filter(|_| is_known(context))
}

/// Of the user table: Falco takes /root for root's home where there is no entry.
fn account<'a>(
    context: Context<'a>,
    get: fn(&'a Account) -> Option<&'a String>,
    of_root: &'static str,
) -> Extracted<'a> {
    if !is_known(context) {
        return text(NOT_AVAILABLE);
    }
    let account = details(context)?.account.as_ref()?;
    let root = context.event.process.uid == 0;
    let default = if root { of_root } else { NOT_AVAILABLE };
    text(get(account).map_or(default, String::as_str))
}

fn id(context: Context<'_>, id: u32) -> Extracted<'static> {
    unsigned(if is_known(context) { id } else { NOBODY })
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("user.uid", Uint32, "user id", One(|c| id(c, c.event.process.uid))),
        Field::new("user.name", Text, "user name", One(user_name)),
        Field::new("user.homedir", Text, "home folder of the user", One(|c| account(c, |a| a.home.as_ref(), "/root"))).of(Part::Account),
        Field::new("user.shell", Text, "shell of the user", One(|c| account(c, |a| a.shell.as_ref(), NOT_AVAILABLE))).of(Part::Account),
        Field::new("user.loginuid", Int64, "login user id, -1 if unset", One(|c| signed(login_uid(c).map_or(-1, i64::from)))),
        Field::new("user.loginname", Text, "login user name", One(|c| named(c.event.process.login_name.as_deref(), login_uid(c)))),
        Field::new("user.euid", Uint32, "effective user id", One(|c| id(c, c.event.process.euid))),
        Field::new("group.gid", Uint32, "group id", One(|c| id(c, c.event.process.gid))),
        Field::new("group.name", Text, "group name", One(|c| {
            named(c.event.process.group_name.as_deref(), None)
        })),
    ]
}
