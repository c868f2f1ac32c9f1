//! What people do, and what they see.

use crate::effect::{CallId, Reply};
use crate::fault::Fault;
use crate::ids::TransferId;
use crate::input::{Command, Destination, Input, NewSend};
use crate::time::Mono;
use crate::transfer::Transfer;

use super::{Node, World, jid};

impl World {
    pub fn command(&mut self, node: Node, command: Command) -> Result<Reply, Fault> {
        let call = CallId(self.count());
        self.handle(node, Input::Command(call, command));
        match self.at_mut(node).replies.remove(&call) {
            Some(reply) => reply,
            None => Err(Fault::new("crashed", "the daemon was killed", "")),
        }
    }

    pub fn send_file(&mut self, node: Node, path: &str, to: &[&str], expire_ms: Option<u64>) -> Result<Reply, Fault> {
        self.command(node, Command::Send(NewSend { expire_ms, ..new_send(path, to) }))
    }

    /// The same, marked open.
    pub fn send_open(&mut self, node: Node, path: &str, to: &[&str]) -> Result<Reply, Fault> {
        self.command(node, Command::Send(NewSend { open: true, ..new_send(path, to) }))
    }

    /// A new file each time.
    pub fn send(&mut self, node: Node, to: &[&str]) -> Vec<TransferId> {
        let path = format!("file-{}", self.count());
        match self.send_file(node, &path, to, None).unwrap() {
            Reply::Transfers(ids) => ids,
            Reply::Done | Reply::Removed(_) => panic!("a send makes transfers"),
        }
    }

    pub fn accept_into(&mut self, node: Node, id: TransferId, free: u64) -> Result<Reply, Fault> {
        let destination =
            Destination { folder: "/home/downloads".into(), free: Ok(free), disk: None, largest: None, chosen: false };
        self.command(node, Command::Accept { ids: vec![id], destinations: vec![destination] })
    }

    pub fn accept(&mut self, node: Node, id: TransferId) -> Result<Reply, Fault> {
        self.accept_into(node, id, u64::MAX)
    }

    pub fn decline(&mut self, node: Node, id: TransferId) -> Result<Reply, Fault> {
        self.command(node, Command::Decline { ids: vec![id], message: Some("no, thanks".into()) })
    }

    pub fn cancel(&mut self, node: Node, id: TransferId) -> Result<Reply, Fault> {
        self.command(node, Command::Cancel(vec![id]))
    }

    pub fn pause(&mut self, node: Node, id: TransferId) -> Result<Reply, Fault> {
        self.command(node, Command::Pause(vec![id]))
    }

    pub fn resume(&mut self, node: Node, id: TransferId) -> Result<Reply, Fault> {
        self.command(node, Command::Resume(vec![id]))
    }

    pub fn remove(&mut self, node: Node, id: TransferId) -> Result<Reply, Fault> {
        self.command(node, Command::Remove { ids: vec![id], delete_data: false })
    }

    pub fn list(&self, node: Node) -> Vec<&Transfer> {
        self.at(node).domain.transfers().collect()
    }

    /// The only transfer of a device.
    pub fn only(&self, node: Node) -> TransferId {
        let list = self.list(node);
        assert_eq!(list.len(), 1, "{list:#?}");
        list[0].id
    }

    pub fn state(&self, node: Node, id: TransferId) -> &'static str {
        self.transfer(node, id).state_name()
    }

    /// The states of all transfers of a device, in the order of their numbers.
    pub fn states(&self, node: Node) -> Vec<&'static str> {
        self.list(node).into_iter().map(Transfer::state_name).collect()
    }

    pub fn why(&self, node: Node, id: TransferId) -> Option<&'static str> {
        let domain = &self.at(node).domain;
        domain.transfer(id).and_then(|t| domain.why(t, Mono(self.now))).map(|why| why.code)
    }

    /// Lets time go by in small steps until the state is reached.
    pub fn until(&mut self, node: Node, id: TransferId, state: &str) {
        for _ in 0..100_000 {
            if self.state(node, id) == state {
                return;
            }
            self.pass(10);
        }
        panic!("{state} is never reached: {:#?}", self.transfer(node, id));
    }
}

fn new_send(path: &str, to: &[&str]) -> NewSend {
    NewSend {
        contacts: to.iter().map(|name| jid(name)).collect(),
        paths: vec![path.to_owned()],
        provisional_name: path.to_owned(),
        ..NewSend::default()
    }
}

/// Alice and Bob with one device each, both online.
pub fn alice_and_bob(seed: u64) -> (World, Node, Node) {
    let mut world = World::new(seed);
    world.befriend("alice", "bob");
    let alice = world.device("alice", "a1");
    let bob = world.device("bob", "b1");
    world.login(alice);
    world.login(bob);
    world.pass(1_000);
    (world, alice, bob)
}

/// The same, with a transfer that Bob has been offered.
pub fn offered(seed: u64) -> (World, (Node, TransferId), (Node, TransferId)) {
    let (mut world, alice, bob) = alice_and_bob(seed);
    let sent = world.send(alice, &["bob"])[0];
    world.pass(5_000);
    let got = world.only(bob);
    (world, (alice, sent), (bob, got))
}
