//! A request that is refused for one alert in it, or for their number, refuses the others too: they are
//! handed over in smaller parts, until it is alone.

use super::{Fate, Reply};

/// The parts of a batch, in order, and what came of them.
pub(super) struct Halves<'a, T> {
    all: &'a [T],
    /// Of the next part.
    most: usize,
    reply: Reply,
}

impl<'a, T> Halves<'a, T> {
    pub(super) fn new(all: &'a [T]) -> Self {
        Self {
            all,
            most: all.len(),
            reply: Reply {
                fates: Vec::with_capacity(all.len()),
                after: None,
            },
        }
    }

    /// What is to be handed over; nothing behind what is to be tried again.
    pub(super) fn next(&self) -> Option<&'a [T]> {
        let rest = self.all.get(self.reply.fates.len()..)?;
        let some = rest.get(..self.most).unwrap_or(rest);
        (!some.is_empty()).then_some(some)
    }

    /// What came of that part, and whether it may be about one of the part alone.
    pub(super) fn told(&mut self, (reply, is_of_all): (Reply, bool)) {
        let count = reply.fates.len();
        if is_of_all && count > 1 {
            self.most = count / 2;
            return;
        }
        self.most = self.most.saturating_mul(2);
        let whole = &mut self.reply;
        whole.after = whole.after.max(reply.after);
        whole.fates.extend(reply.fates);
        if let Some(Fate::Again(why)) = whole.fates.last().cloned() {
            whole.fates.resize(self.all.len(), Fate::Again(why));
        }
    }

    pub(super) fn reply(self) -> Reply {
        self.reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_is_refused() {
        let all: Vec<u32> = (0..100).collect();
        let mut halves = Halves::new(&all);
        while let Some(some) = halves.next() {
            let is_wrong = some.contains(&7) || some.len() > 3;
            let fate = match is_wrong {
                true => Fate::Refused("no".into()),
                false => Fate::Delivered,
            };
            halves.told((Reply::all(some.len(), fate), is_wrong));
        }
        let fates = halves.reply().fates;
        assert_eq!(fates.len(), all.len());
        for (one, fate) in all.iter().zip(fates) {
            assert_eq!(fate != Fate::Delivered, *one == 7, "{one}");
        }
    }

    #[test]
    fn nothing_goes_before_what_is_to_be_tried_again() {
        let mut halves = Halves::new(&[1, 2, 3, 4]);
        let refused = Reply::all(4, Fate::Refused("too much".into()));
        halves.told((refused, true));
        assert_eq!(halves.next(), Some(&[1, 2][..]));
        halves.told((Reply::again(2, "busy"), false));
        assert_eq!(halves.next(), None);
        assert_eq!(halves.reply().fates, Reply::again(4, "busy").fates);
    }
}
