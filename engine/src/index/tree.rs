//! A persistent B+ tree with packed leaves: every edit copies one path and shares the rest, every walk is over contiguous
//! memory. The snapshot of a channel uses it for members and revocations, a connection for its channels, an identity for its
//! connections. Values only; it knows nothing of threads.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

/// Children of a branch. An edit copies a branch's children, which costs a reference count each, on every level: few are cheap.
const FANOUT: usize = if crate::sync::MODEL { 2 } else { 8 };

/// A packed run of entries with growing keys.
pub(crate) trait Leaf: Sized {
    type Key: Ord + Clone + std::fmt::Debug;
    /// How many entries a leaf holds at most.
    const CAPACITY: usize;

    fn len(&self) -> usize;
    /// The smallest key, of a leaf that is not empty.
    fn first_key(&self) -> &Self::Key;
    /// The entries before and from `at`.
    fn split(&self, at: usize) -> (Self, Self);
    /// All entries of `self`, then all of `right`.
    fn concat(&self, right: &Self) -> Self;
    /// Whether `key` comes after all entries.
    fn is_past(&self, key: &Self::Key) -> bool;
}

#[derive(Debug)]
enum Node<L: Leaf> {
    Leaf(Arc<L>),
    Branch(Arc<Branch<L>>),
}

#[derive(Debug)]
struct Branch<L: Leaf> {
    /// With the smallest key below each child, growing.
    children: SmallVec<[(L::Key, Node<L>); FANOUT]>,
}

/// What takes the place of an edited node: nothing, itself, or itself and a new right neighbour.
type Pieces<L> = SmallVec<[(<L as Leaf>::Key, Node<L>); 2]>;

impl<L: Leaf> Clone for Node<L> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(leaf) => Self::Leaf(Arc::clone(leaf)),
            Self::Branch(branch) => Self::Branch(Arc::clone(branch)),
        }
    }
}

impl<L: Leaf> Node<L> {
    /// Entries of a leaf, children of a branch.
    fn width(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.len(),
            Self::Branch(branch) => branch.children.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Leaf(_) => L::CAPACITY,
            Self::Branch(_) => FANOUT,
        }
    }

    /// The edited node's pieces; `None` if `edit` declined.
    fn edited(&self, key: &L::Key, edit: impl FnOnce(&L) -> Option<L>) -> Option<Pieces<L>> {
        match self {
            Self::Leaf(leaf) => Some(leaf_pieces(edit(leaf)?, key)),
            Self::Branch(branch) => {
                let at = branch.position(key);
                let pieces = branch.children[at].1.edited(key, edit)?;
                Some(branch.with_pieces(at, pieces))
            }
        }
    }

    /// Both nodes as one, of the same height.
    fn concat(&self, right: &Self) -> Option<Self> {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => Some(Self::Leaf(Arc::new(left.concat(right)))),
            (Self::Branch(left), Self::Branch(right)) => {
                let children = left.children.iter().chain(&right.children).cloned().collect();
                Some(Self::Branch(Arc::new(Branch { children })))
            }
            // All leaves are equally deep, so neighbours are alike.
            _ => None,
        }
    }
}

fn leaf_pieces<L: Leaf>(leaf: L, key: &L::Key) -> Pieces<L> {
    let named = |leaf: L| (leaf.first_key().clone(), Node::Leaf(Arc::new(leaf)));
    match leaf.len() {
        0 => smallvec![],
        len if len <= L::CAPACITY => smallvec![named(leaf)],
        len => {
            // Growing keys fill their leaves; anything else leaves room on both sides.
            let (head, tail) = leaf.split(len - 1);
            let at_the_end = head.is_past(key);
            let (left, right) = if at_the_end { (head, tail) } else { leaf.split(len / 2) };
            smallvec![named(left), named(right)]
        }
    }
}

impl<L: Leaf> Branch<L> {
    /// The child whose range holds `key`.
    fn position(&self, key: &L::Key) -> usize {
        self.children.partition_point(|(first, _)| first <= key).saturating_sub(1)
    }

    /// This branch with the child at `at` replaced.
    fn with_pieces(&self, at: usize, pieces: Pieces<L>) -> Pieces<L> {
        let shrank =
            pieces.iter().map(|(_, piece)| piece.width()).sum::<usize>() < self.children[at].1.width();
        // No more than there will be: one too many would go to the heap.
        let mut children: SmallVec<[(L::Key, Node<L>); FANOUT]> =
            SmallVec::with_capacity(self.children.len() + pieces.len() - 1);
        children.extend(self.children[..at].iter().cloned());
        children.extend(pieces);
        children.extend(self.children[at + 1..].iter().cloned());
        let split_off_at_end = at + 1 == self.children.len();
        // A node that shrank joins a neighbour if both fit into three quarters, so that neither splits again at once.
        if shrank {
            for left in [at.saturating_sub(1), at] {
                if left + 1 < children.len() {
                    let (a, b) = (&children[left].1, &children[left + 1].1);
                    if a.width() + b.width() <= a.capacity() * 3 / 4
                        && let Some(joined) = a.concat(b)
                    {
                        children[left].1 = joined;
                        children.remove(left + 1);
                        break;
                    }
                }
            }
        }
        let branch = |children: SmallVec<[(L::Key, Node<L>); FANOUT]>| {
            (children[0].0.clone(), Node::Branch(Arc::new(Branch { children })))
        };
        match children.len() {
            0 => smallvec![],
            len if len <= FANOUT => smallvec![branch(children)],
            len => {
                let right = children.drain(if split_off_at_end { len - 1 } else { len / 2 }..).collect();
                smallvec![branch(children), branch(right)]
            }
        }
    }
}

/// The tree. Clones in O(1).
#[derive(Debug)]
pub(crate) struct Tree<L: Leaf> {
    root: Option<Node<L>>,
    len: usize,
}

impl<L: Leaf> Clone for Tree<L> {
    fn clone(&self) -> Self {
        Self { root: self.root.clone(), len: self.len }
    }
}

impl<L: Leaf> Default for Tree<L> {
    fn default() -> Self {
        Self { root: None, len: 0 }
    }
}

impl<L: Leaf> Tree<L> {
    /// Entries in the tree.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The tree with the leaf that holds, or would hold, `key` replaced by what `edit` makes of it (`None` for no leaf yet);
    /// `None` if `edit` returns `None`. O(log n) node copies.
    pub(crate) fn edited(&self, key: &L::Key, edit: impl FnOnce(Option<&L>) -> Option<L>) -> Option<Self> {
        let (mut before, mut after) = (0, 0);
        let edit = |leaf: Option<&L>| {
            let next = edit(leaf)?;
            (before, after) = (leaf.map_or(0, L::len), next.len());
            Some(next)
        };
        let pieces = match &self.root {
            None => leaf_pieces(edit(None)?, key),
            Some(root) => root.edited(key, |leaf| edit(Some(leaf)))?,
        };
        let root = match pieces.len() {
            0 => None,
            1 => pieces.into_iter().next().map(|(_, node)| shallow(node)),
            _ => Some(Node::Branch(Arc::new(Branch { children: pieces.into_iter().collect() }))),
        };
        Some(Self { root, len: self.len + after - before })
    }

    /// The leaf that holds `key`, if any does.
    pub(crate) fn leaf(&self, key: &L::Key) -> Option<&Arc<L>> {
        let mut node = self.root.as_ref()?;
        loop {
            match node {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Branch(branch) => node = &branch.children[branch.position(key)].1,
            }
        }
    }

    /// Where `key` is, or would be. O(log n).
    pub(crate) fn place(&self, key: &L::Key) -> Option<Place<'_, L>> {
        let (mut node, mut siblings, mut behind) = (self.root.as_ref()?, &[][..], None);
        loop {
            match node {
                Node::Leaf(leaf) => return Some(Place { leaf, siblings, behind }),
                Node::Branch(branch) => {
                    let at = branch.position(key);
                    behind = siblings.first().map(|(first, _)| first).or(behind);
                    siblings = &branch.children[at + 1..];
                    node = &branch.children[at].1;
                }
            }
        }
    }

    /// The place of the next leaf. O(1), but for every so manieth O(log n).
    pub(crate) fn next<'a>(&'a self, place: &Place<'a, L>) -> Option<Place<'a, L>> {
        match place.siblings.split_first() {
            Some(((_, Node::Leaf(leaf)), siblings)) => Some(Place { leaf, siblings, behind: place.behind }),
            // Siblings of a leaf are leaves.
            _ => self.place(place.behind?),
        }
    }

    /// The leaves in order.
    pub(crate) fn leaves(&self) -> Leaves<'_, L> {
        Leaves { pending: self.root.iter().collect() }
    }

    /// The leaves in order, from the one on that holds, or would hold, `key`. O(log n).
    pub(crate) fn leaves_from(&self, key: &L::Key) -> Leaves<'_, L> {
        let mut pending = SmallVec::new();
        let mut node = self.root.as_ref();
        while let Some(Node::Branch(branch)) = node {
            let at = branch.position(key);
            pending.extend(branch.children[at + 1..].iter().rev().map(|(_, node)| node));
            node = Some(&branch.children[at].1);
        }
        pending.extend(node);
        Leaves { pending }
    }
}

/// A leaf and what comes behind it.
#[derive(Debug)]
pub(crate) struct Place<'a, L: Leaf> {
    pub(crate) leaf: &'a L,
    siblings: &'a [(L::Key, Node<L>)],
    /// The smallest key behind the siblings.
    behind: Option<&'a L::Key>,
}

impl<'a, L: Leaf> Place<'a, L> {
    /// The next leaf, if it is near by.
    pub(crate) fn sibling(&self) -> Option<&'a L> {
        match self.siblings.first() {
            Some((_, Node::Leaf(leaf))) => Some(leaf),
            _ => None,
        }
    }
}

impl<L: Leaf> Clone for Place<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L: Leaf> Copy for Place<'_, L> {}

/// A root without the branches that have a single child.
fn shallow<L: Leaf>(mut node: Node<L>) -> Node<L> {
    loop {
        match &node {
            Node::Branch(branch) if branch.children.len() == 1 => {
                let only = branch.children[0].1.clone();
                node = only;
            }
            _ => return node,
        }
    }
}

/// See [`Tree::leaves`].
#[derive(Debug)]
pub(crate) struct Leaves<'a, L: Leaf> {
    /// What is still to visit, the next on top.
    pending: SmallVec<[&'a Node<L>; FANOUT]>,
}

impl<'a, L: Leaf> Iterator for Leaves<'a, L> {
    type Item = &'a Arc<L>;

    fn next(&mut self) -> Option<&'a Arc<L>> {
        loop {
            match self.pending.pop()? {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Branch(branch) => {
                    self.pending.extend(branch.children.iter().rev().map(|(_, node)| node))
                }
            }
        }
    }
}

/// An entry of a [`Sorted`] leaf.
pub(crate) trait Entry: Clone {
    type Key: Ord + Clone + std::fmt::Debug;
    fn key(&self) -> &Self::Key;
}

/// A leaf of entries that stand for themselves.
#[derive(Debug)]
pub(crate) struct Sorted<E>(SmallVec<[E; 1]>);

impl<E: Entry> Leaf for Sorted<E> {
    type Key = E::Key;
    const CAPACITY: usize = if crate::sync::MODEL { 2 } else { 32 };

    fn len(&self) -> usize {
        self.0.len()
    }

    fn first_key(&self) -> &E::Key {
        self.0[0].key()
    }

    fn split(&self, at: usize) -> (Self, Self) {
        let (left, right) = self.0.split_at(at);
        (Self(left.into()), Self(right.into()))
    }

    fn concat(&self, right: &Self) -> Self {
        Self(self.0.iter().chain(&right.0).cloned().collect())
    }

    fn is_past(&self, key: &E::Key) -> bool {
        self.0.last().is_none_or(|last| last.key() < key)
    }
}

/// An ordered set of entries, one per key.
pub(crate) type Set<E> = Tree<Sorted<E>>;

impl<E: Entry> Set<E> {
    pub(crate) fn get(&self, key: &E::Key) -> Option<&E> {
        let entries = &self.leaf(key)?.0;
        entries.binary_search_by(|entry| entry.key().cmp(key)).ok().map(|at| &entries[at])
    }

    /// With this entry in the place of one of the same key, if any.
    pub(crate) fn with(&self, entry: E) -> Self {
        let key = entry.key().clone();
        let edit = |leaf: Option<&Sorted<E>>| {
            let Some(Sorted(old)) = leaf else { return Some(Sorted(smallvec![entry])) };
            let mut entries = SmallVec::with_capacity(old.len() + 1);
            match old.binary_search_by(|old| old.key().cmp(entry.key())) {
                Ok(at) => {
                    entries.extend(old.iter().cloned());
                    entries[at] = entry;
                }
                Err(at) => {
                    entries.extend(old[..at].iter().cloned());
                    entries.push(entry);
                    entries.extend(old[at..].iter().cloned());
                }
            }
            Some(Sorted(entries))
        };
        self.edited(&key, edit).unwrap_or_else(|| self.clone())
    }

    /// Without the entry of this key; `None` if there is none.
    pub(crate) fn without(&self, key: &E::Key) -> Option<Self> {
        self.edited(key, |leaf| {
            let old = &leaf?.0;
            let at = old.binary_search_by(|entry| entry.key().cmp(key)).ok()?;
            Some(Sorted(old[..at].iter().chain(&old[at + 1..]).cloned().collect()))
        })
    }

    /// The entries from `key` on, in order.
    pub(crate) fn range_from<'a>(&'a self, key: &'a E::Key) -> impl Iterator<Item = &'a E> {
        self.leaves_from(key).flat_map(|leaf| leaf.0.iter()).skip_while(move |entry| entry.key() < key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &E> {
        self.leaves().flat_map(|leaf| leaf.0.iter())
    }

    pub(crate) fn first(&self) -> Option<&E> {
        let mut node = self.root.as_ref()?;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.0.first(),
                Node::Branch(branch) => node = &branch.children[0].1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    impl Entry for u32 {
        type Key = u32;
        fn key(&self) -> &u32 {
            self
        }
    }

    fn depth(node: &Node<Sorted<u32>>) -> Vec<usize> {
        match node {
            Node::Leaf(leaf) => {
                assert!((1..=Sorted::<u32>::CAPACITY).contains(&leaf.len()));
                vec![0]
            }
            Node::Branch(branch) => {
                assert!((1..=FANOUT).contains(&branch.children.len()));
                branch.children.iter().flat_map(|(_, child)| depth(child)).map(|d| d + 1).collect()
            }
        }
    }

    proptest! {
        #[test]
        fn edits_leave_what_a_btree_set_holds_and_old_trees_as_they_were(
            edits in prop::collection::vec((any::<bool>(), 0_u32..600), 0..600),
        ) {
            let (mut tree, mut set) = (Set::<u32>::default(), BTreeSet::new());
            for (add, key) in edits {
                let (old, old_set) = (tree.clone(), set.clone());
                if add {
                    tree = tree.with(key);
                    set.insert(key);
                } else {
                    let next = tree.without(&key);
                    prop_assert_eq!(next.is_some(), set.remove(&key));
                    tree = next.unwrap_or(tree);
                }
                prop_assert_eq!(tree.len(), set.len());
                prop_assert_eq!(tree.get(&key).is_some(), add);
                if key % 64 == 0 {
                    prop_assert!(old.iter().eq(old_set.iter()));
                    prop_assert!(tree.iter().eq(set.iter()));
                    if let Some(root) = &tree.root {
                        prop_assert!(depth(root).windows(2).all(|pair| pair[0] == pair[1]));
                    }
                }
            }
            prop_assert!(tree.iter().eq(set.iter()));
            prop_assert!(tree.range_from(&300).eq(set.range(300..)));
        }

        #[test]
        fn places_lead_from_any_key_to_the_end(
            keys in prop::collection::btree_set(0_u32..5000, 0..2000),
            from in 0_u32..5001,
        ) {
            let mut tree = Set::<u32>::default();
            keys.iter().for_each(|key| tree = tree.with(*key));
            let (mut place, mut met) = (tree.place(&from), Vec::new());
            while let Some(here) = place {
                met.extend(here.leaf.0.iter().copied());
                let next = tree.next(&here);
                prop_assert!(here.sibling().is_none_or(|near| next.is_some_and(|next| std::ptr::eq(next.leaf, near))));
                place = next;
            }
            // All from the key on, and before them only what shares its leaf.
            let due: Vec<u32> = keys.range(from..).copied().collect();
            prop_assert!(met.ends_with(&due) && met.len() < due.len() + Sorted::<u32>::CAPACITY + 1);
            prop_assert!(keys.iter().rev().take(met.len()).rev().eq(&met));
        }
    }

    /// Leaves, and branches above each.
    fn shape(tree: &Set<u32>) -> (usize, usize) {
        (tree.leaves().count(), tree.root.as_ref().map_or(0, |root| depth(root)[0]))
    }

    #[test]
    fn growing_keys_fill_their_leaves_and_branches() {
        let tree = (0..10_000).fold(Set::default(), |tree: Set<u32>, key| tree.with(key));
        let (leaves, depth) = shape(&tree);
        assert!(leaves <= 10_000_usize.div_ceil(Sorted::<u32>::CAPACITY - 1), "{leaves} leaves");
        assert_eq!(depth, leaves.ilog(FANOUT) as usize + 1);
    }

    #[test]
    fn keys_in_any_order_fill_more_than_half_of_their_leaves_and_branches() {
        // Every number below a prime once, far from its neighbours.
        let tree = (1..10_007_u32).fold(Set::default(), |tree: Set<u32>, n| tree.with(n * 4_001 % 10_007));
        let (leaves, depth) = shape(&tree);
        assert!(leaves <= 10_000 * 2 / Sorted::<u32>::CAPACITY, "{leaves} leaves");
        assert!(depth <= leaves.ilog(FANOUT / 2) as usize + 1, "{depth} branches");
    }

    #[test]
    fn a_tree_that_shrinks_gives_its_nodes_back() {
        let mut tree = (0..10_000).fold(Set::default(), |tree: Set<u32>, key| tree.with(key));
        for key in (0..10_000).filter(|key| key % 100 != 0) {
            tree = tree.without(&key).expect("was there");
        }
        let (leaves, depth) = shape(&tree);
        assert!(leaves <= 100 * 8 / 3 / Sorted::<u32>::CAPACITY + 1, "{leaves} leaves for 100 entries");
        assert!(depth <= 2, "{depth} branches");
        for key in (0..10_000).filter(|key| key % 100 == 0) {
            tree = tree.without(&key).expect("was there");
        }
        assert!(tree.is_empty() && shape(&tree) == (0, 0));
    }
}
