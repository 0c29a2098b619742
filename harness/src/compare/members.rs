//! The members of one channel as the peers keep them: dense to walk, and one step to add or remove.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Senders, by the number of their connection.
#[derive(Debug)]
pub(super) struct Members<S> {
    senders: Vec<(usize, S)>,
    places: HashMap<usize, usize, FixedState>,
}

impl<S> Default for Members<S> {
    fn default() -> Self {
        Members { senders: Vec::new(), places: HashMap::default() }
    }
}

impl<S> Members<S> {
    pub(super) fn add(&mut self, number: usize, sender: S) {
        self.places.insert(number, self.senders.len());
        self.senders.push((number, sender));
    }

    /// The last member takes the place of the one that goes.
    pub(super) fn remove(&mut self, number: usize) {
        if let Some(place) = self.places.remove(&number) {
            self.senders.swap_remove(place);
            if let Some((moved, _)) = self.senders.get(place) {
                self.places.insert(*moved, place);
            }
        }
    }

    pub(super) fn all(&self) -> &[(usize, S)] {
        &self.senders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_member_takes_the_place_of_the_one_that_goes() {
        let mut members = Members::default();
        (0..4).for_each(|number| members.add(number, ()));
        members.remove(1);
        members.remove(7);
        assert_eq!(members.all(), [(0, ()), (3, ()), (2, ())]);
        members.remove(3);
        members.remove(2);
        members.remove(0);
        assert!(members.all().is_empty());
    }
}
