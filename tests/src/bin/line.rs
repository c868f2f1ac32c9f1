//! Puts a long line between two TAP devices, which it makes: `line DEVICE DEVICE LINE SEED` (`docs/laboratory.md`). Prints READY
//! when they are there, so that they can be moved into namespaces, and now and then what each direction has done.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};
use xbt_tests::lab::line::{Direction, Line};

/// Packets that one direction takes before the other has its turn.
const BURST: usize = 256;

/// An Ethernet frame with room.
const FRAME: usize = 2048;

/// Between two looks when nothing is under way.
const IDLE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [a, b, line, seed] = arguments.as_slice() else {
        eprintln!("usage: line DEVICE DEVICE RATE,DELAY[,LOSS[,QUEUE[,REORDER]]] SEED");
        return ExitCode::from(2);
    };
    let run = || -> Result<(), Box<dyn std::error::Error>> {
        let (line, seed): (Line, u64) = (line.parse()?, seed.parse()?);
        let devices = [tap(a)?, tap(b)?];
        println!("READY");
        io::stdout().flush()?;
        Ok(carry(&devices, [Direction::new(line, seed), Direction::new(line, !seed)])?)
    };
    if let Err(error) = run() {
        eprintln!("error: {error}");
    }
    ExitCode::FAILURE
}

fn tap(name: &str) -> io::Result<SyncDevice> {
    let device = DeviceBuilder::new().name(name).layer(Layer::L2).enable(false).build_sync()?;
    device.set_nonblocking(true)?;
    Ok(device)
}

/// Until it is killed.
fn carry(devices: &[SyncDevice; 2], mut ways: [Direction; 2]) -> io::Result<()> {
    let begin = Instant::now();
    let mut reported = (begin, ways.each_ref().map(Direction::counts));
    let mut frame = [0; FRAME];
    loop {
        let counts = ways.each_ref().map(Direction::counts);
        if reported.0.elapsed() >= IDLE && reported.1 != counts {
            reported = (Instant::now(), counts);
            println!("{:?} {counts:?}", begin.elapsed());
        }
        let next = ways.iter().filter_map(Direction::next).min();
        let pause = next.map_or(IDLE, |due| due.saturating_sub(begin.elapsed())).min(IDLE);
        let [a, b] = devices;
        let mut ready = [PollFd::new(a, PollFlags::IN), PollFd::new(b, PollFlags::IN)];
        let pause = Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: pause.subsec_nanos().into() };
        match poll(&mut ready, Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for (from, way) in ways.iter_mut().enumerate() {
            for _ in 0..BURST {
                match devices[from].recv(&mut frame) {
                    Ok(length) => way.take(&frame[..length], begin.elapsed()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // The device is down, or was not yet up.
                    Err(_) => break,
                }
            }
            while let Some(packet) = way.give(begin.elapsed()) {
                // What the other end cannot take is lost, as on a line.
                let _ = devices[1 - from].send(&packet);
            }
        }
    }
}
