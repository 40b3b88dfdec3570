//! The kinds of caller: how each comes in, and what it may do where a row says who may.

use super::table::{A, Access, B, Row};
use super::world::World;
use crate::ways::{Door, Shown, Way};

/// Which component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    A,
    B,
}

impl Which {
    /// Its id.
    pub(super) fn id(self) -> &'static str {
        match self {
            Which::A => A,
            Which::B => B,
        }
    }
}

/// What a component's credential carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// Every scope, or at least the one that the row asks for.
    TheScope,
    /// Others, or none.
    NotTheScope,
}

/// Who stands at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Owner,
    Component(Which, Carries),
    /// Nobody who may come in.
    Stranger,
}

/// What must come of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is let through.
    Through,
    Forbidden,
    Unauthorized,
}

/// A kind of caller.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) standing: Standing,
    /// The way in; some kinds have another token for each row.
    pub(super) way: fn(&World, &Row) -> Way,
}

impl Kind {
    /// What must come of its call.
    pub(super) fn expects(&self, row: &Row) -> Expected {
        match (self.standing, row.access) {
            (Standing::Stranger, _) => Expected::Unauthorized,
            (Standing::Owner, _) => Expected::Through,
            (Standing::Component(..), Access::Owner(_)) => Expected::Forbidden,
            (Standing::Component(..), Access::Public)
            | (Standing::Component(_, Carries::TheScope), _) => Expected::Through,
            (Standing::Component(_, Carries::NotTheScope), _) => Expected::Forbidden,
        }
    }

    /// The name by which an audit line knows it: of a stranger only where he stood.
    pub(super) fn audited_as(&self, way: &Way) -> String {
        match (self.standing, &way.door) {
            (Standing::Owner, _) => "owner".to_owned(),
            (Standing::Component(which, _), _) => which.id().to_owned(),
            (Standing::Stranger, Door::Owner) => "owner's socket".to_owned(),
            (Standing::Stranger, Door::Components) => "components' socket".to_owned(),
            (Standing::Stranger, Door::Bound(_)) => format!("socket of {A}"),
            (Standing::Stranger, Door::Tcp) => "tcp".to_owned(),
        }
    }
}

fn with(door: Door, token: &str) -> Way {
    Way::with(door, token)
}

/// Every kind of caller.
pub(super) fn kinds() -> Vec<Kind> {
    [owners(), components(), strangers()].into_iter().flatten().collect()
}

fn owners() -> Vec<Kind> {
    let kind = |name, way| Kind { name, standing: Standing::Owner, way };
    vec![
        kind("the owner on his socket", |_, _| Way::by(Door::Owner)),
        kind("the owner's token on TCP", |w, _| with(Door::Tcp, &w.daemon.owner_token())),
        kind("the owner's token in the path on TCP", |w, _| Way {
            door: Door::Tcp,
            shown: Shown::InPath(w.daemon.owner_token()),
        }),
        kind("the owner's token on his socket", |w, _| with(Door::Owner, &w.daemon.owner_token())),
        kind("the owner's token on component.sock", |w, _| {
            with(Door::Components, &w.daemon.owner_token())
        }),
    ]
}

fn components() -> Vec<Kind> {
    use Carries::{NotTheScope, TheScope};
    let kind = |which, carries, name, way| Kind {
        name,
        standing: Standing::Component(which, carries),
        way,
    };
    let a = |carries, name, way| kind(Which::A, carries, name, way);
    vec![
        a(TheScope, "A's token of all that there is, on TCP", |w, _| with(Door::Tcp, &w.all_of_a)),
        a(TheScope, "A's token of every scope by name, on TCP", |w, _| with(Door::Tcp, &w.named)),
        a(TheScope, "A's token in the path, on TCP", |w, _| Way {
            door: Door::Tcp,
            shown: Shown::InPath(w.all_of_a.clone()),
        }),
        a(TheScope, "A's token on component.sock", |w, _| with(Door::Components, &w.all_of_a)),
        a(TheScope, "A's token on the owner's socket", |w, _| with(Door::Owner, &w.all_of_a)),
        a(TheScope, "A's token of that scope alone, on TCP", |w, r| with(Door::Tcp, w.only(r))),
        a(TheScope, "A on its socket", |w, _| Way::by(Door::Bound(w.socket.clone()))),
        a(TheScope, "A's token of that scope alone, on A's socket", |w, r| {
            with(Door::Bound(w.socket.clone()), w.only(r))
        }),
        a(NotTheScope, "A's token of every other scope, on TCP", |w, r| {
            with(Door::Tcp, w.all_but(r))
        }),
        a(NotTheScope, "A's token of every other scope, on component.sock", |w, r| {
            with(Door::Components, w.all_but(r))
        }),
        a(NotTheScope, "A's token of every other scope, on A's socket", |w, r| {
            with(Door::Bound(w.socket.clone()), w.all_but(r))
        }),
        a(NotTheScope, "A's token of no scope, on the owner's socket", |w, _| {
            with(Door::Owner, &w.none)
        }),
        a(NotTheScope, "A on its socket of no scope", |w, _| {
            Way::by(Door::Bound(w.bare_socket.clone()))
        }),
        a(NotTheScope, "A's token of all that there is, on its socket of no scope", |w, _| {
            with(Door::Bound(w.bare_socket.clone()), &w.all_of_a)
        }),
        kind(Which::B, TheScope, "B's token of all that there is, on TCP", |w, _| {
            with(Door::Tcp, &w.all_of_b)
        }),
        kind(Which::B, TheScope, "B's token on component.sock", |w, _| {
            with(Door::Components, &w.all_of_b)
        }),
        kind(Which::B, TheScope, "B on its socket", |w, _| {
            Way::by(Door::Bound(w.socket_of_b.clone()))
        }),
    ]
}

fn strangers() -> Vec<Kind> {
    let kind = |name, way| Kind { name, standing: Standing::Stranger, way };
    vec![
        kind("a revoked token on TCP", |w, _| with(Door::Tcp, &w.revoked)),
        kind("a revoked token in the path", |w, _| Way {
            door: Door::Tcp,
            shown: Shown::InPath(w.revoked.clone()),
        }),
        kind("a revoked token on the owner's socket", |w, _| with(Door::Owner, &w.revoked)),
        kind("an expired token on TCP", |w, _| with(Door::Tcp, &w.expired)),
        kind("an expired token on the owner's socket", |w, _| with(Door::Owner, &w.expired)),
        kind("an expired token on A's socket", |w, _| {
            with(Door::Bound(w.socket.clone()), &w.expired)
        }),
        kind("a token that never was", |w, _| with(Door::Tcp, &w.never)),
        kind("a token with another's secret", |w, _| with(Door::Tcp, &w.mixed)),
        kind("garbage on TCP", |_, _| with(Door::Tcp, "unspoken-garbage")),
        kind("garbage on the owner's socket", |_, _| with(Door::Owner, "unspoken-garbage")),
        kind("garbage on component.sock", |_, _| with(Door::Components, "unspoken-garbage")),
        kind("garbage on A's socket", |w, _| {
            with(Door::Bound(w.socket.clone()), "unspoken-garbage")
        }),
        kind("nothing on TCP", |_, _| Way::by(Door::Tcp)),
        kind("nothing on component.sock", |_, _| Way::by(Door::Components)),
        kind("B's token on A's socket", |w, _| with(Door::Bound(w.socket.clone()), &w.all_of_b)),
        kind("the owner's token on A's socket", |w, _| {
            with(Door::Bound(w.socket.clone()), &w.daemon.owner_token())
        }),
    ]
}
