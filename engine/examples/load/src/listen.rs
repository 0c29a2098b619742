//! The clients: each counts the broadcasts of its room, one after the other without a gap, and times them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::serve::{Sent, now_us};
use crate::{Failure, Load, system};

/// Connections of one address: a port each. Beyond half of the ports that there are for it the kernel finds free ones slowly.
const OF_AN_ADDRESS: u32 = 10_000;
/// Connections that are made at once.
const AT_ONCE: usize = 200;
/// How long is waited for what is under way.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the server used.
#[derive(Debug, Serialize)]
pub(crate) struct Server {
    /// More than before the first connection.
    pub(crate) resident_bytes: u64,
    /// While it broadcast.
    pub(crate) processor_us: u64,
}

/// What came through.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) seconds_to_connect: f64,
    pub(crate) broadcasts: u64,
    pub(crate) due: u64,
    pub(crate) refused: u64,
    pub(crate) received: u64,
    /// Deliveries that came again, too late or too early.
    pub(crate) misplaced: u64,
    /// p50, p90, p99, p99.9 and the most, in microseconds.
    pub(crate) latency_us: [f64; 5],
    pub(crate) server: Server,
    pub(crate) kernel_bytes: u64,
}

impl Figures {
    pub(crate) fn fault(&self) -> Option<String> {
        let Self { due, received, misplaced, refused, .. } = self;
        let lost = *refused > 0 || due != received || *misplaced > 0;
        lost.then(|| format!("{due} deliveries were due, {received} came, {refused} were refused, {misplaced} were out of order or doubled"))
    }
}

/// What one client saw.
struct Heard {
    received: u64,
    misplaced: u64,
    latency_us: Vec<u32>,
}

pub(crate) fn run(load: &Load, server: SocketAddr, process: u32) -> Result<Figures, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(listen(load, server, process))
}

async fn listen(load: &Load, server: SocketAddr, process: u32) -> Result<Figures, Failure> {
    let (resident, kernel) = (system::resident_bytes(process)?, system::kernel_bytes()?);
    let (bound, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (stop, stopped) = watch::channel(());
    let door = Arc::new(Semaphore::new(AT_ONCE));
    let mut clients = JoinSet::new();
    let begin = Instant::now();
    for number in 0..load.connections {
        let permit = Arc::clone(&door).acquire_owned().await?;
        let (room, stopped) = (number % load.rooms, stopped.clone());
        let (bound, received) = (Arc::clone(&bound), Arc::clone(&received));
        clients.spawn(async move {
            let socket = open(server, number, room).await?;
            let told = move || {
                bound.fetch_add(1, Ordering::Relaxed);
                drop(permit);
            };
            hear(socket, told, &received, stopped).await
        });
    }
    reaches(&bound, u64::from(load.connections)).await?;
    let seconds_to_connect = begin.elapsed().as_secs_f64();
    let (resident_bytes, kernel_bytes) = (system::resident_bytes(process)?, system::kernel_bytes()?);
    let before_us = system::processor_us(process)?;
    let Sent { broadcasts, reached, refused } = broadcast(server).await?;
    // What does not come is told by the counts.
    let _ = reaches(&received, reached).await;
    let processor_us = system::processor_us(process)? - before_us;
    stop.send(())?;
    let (mut received, mut misplaced, mut latency) = (0, 0, Histogram::<u64>::new(3)?);
    while let Some(heard) = clients.join_next().await {
        let heard = heard?.map_err(|why| format!("a client: {why}"))?;
        received += heard.received;
        misplaced += heard.misplaced;
        for us in heard.latency_us {
            latency.record(u64::from(us))?;
        }
    }
    let quantile = |percent| latency.value_at_quantile(percent / 100.0) as f64;
    Ok(Figures {
        seconds_to_connect,
        broadcasts,
        due: reached,
        refused,
        received,
        misplaced,
        latency_us: [quantile(50.0), quantile(90.0), quantile(99.0), quantile(99.9), latency.max() as f64],
        server: Server { resident_bytes: resident_bytes.saturating_sub(resident), processor_us },
        kernel_bytes: kernel_bytes.saturating_sub(kernel),
    })
}

/// Waits until the count is reached; as long as it grows.
async fn reaches(count: &AtomicU64, due: u64) -> Result<(), Failure> {
    let mut last = (0, Instant::now());
    loop {
        let now = count.load(Ordering::Relaxed);
        if now >= due {
            return Ok(());
        }
        if now > last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() > PATIENCE {
            return Err(format!("{now} of {due} after {} s without another", PATIENCE.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn open(server: SocketAddr, number: u32, room: u32) -> Result<TcpStream, String> {
    let [high, low] = ((2 + number / OF_AN_ADDRESS) as u16).to_be_bytes();
    let socket = TcpSocket::new_v4().map_err(|error| error.to_string())?;
    let from = Ipv4Addr::new(127, 0, high, low);
    socket.bind((from, 0).into()).map_err(|error| format!("bind {from}: {error}"))?;
    let mut stream = socket.connect(server).await.map_err(|error| format!("connect: {error}"))?;
    let request = format!("GET /events?number={number}&room={room} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| format!("write: {error}"))?;
    Ok(stream)
}

/// Reads until it is told to stop.
async fn hear(
    mut stream: TcpStream,
    bound: impl FnOnce(),
    total: &AtomicU64,
    mut stopped: watch::Receiver<()>,
) -> Result<Heard, String> {
    let mut heard = Heard { received: 0, misplaced: 0, latency_us: Vec::new() };
    let (mut bound, mut rest) = (Some(bound), Vec::new());
    let mut bytes = [0; 4096];
    loop {
        let read = tokio::select! {
            read = stream.read(&mut bytes) => read.map_err(|error| format!("read: {error}"))?,
            _ = stopped.changed() => return Ok(heard),
        };
        if read == 0 {
            return Err("the server has ended the stream".to_owned());
        }
        let now = now_us();
        rest.extend_from_slice(&bytes[..read]);
        let complete = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in rest[..complete].split(|byte| *byte == b'\n') {
            // Besides there are ids, and what frames the chunks of the response.
            if line.starts_with(b"data: ") {
                let (at, number) = (field(line, b"\"at\":"), field(line, b"\"number\":"));
                heard.misplaced += u64::from(number != Some(heard.received));
                heard.received += 1;
                heard.latency_us.push(u32::try_from(now.saturating_sub(at.unwrap_or(0))).unwrap_or(u32::MAX));
                total.fetch_add(1, Ordering::Relaxed);
            } else if line.starts_with(b": bound")
                && let Some(told) = bound.take()
            {
                told();
            }
        }
        rest.drain(..complete);
    }
}

/// The number behind a name.
fn field(line: &[u8], name: &[u8]) -> Option<u64> {
    let at = line.windows(name.len()).position(|window| window == name)? + name.len();
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits
        .into_iter()
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// Has the server broadcast; it answers when it has.
async fn broadcast(server: SocketAddr) -> Result<Sent, Failure> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(b"POST /broadcast HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    timeout(Duration::from_secs(90_000), stream.read_to_string(&mut answer)).await??;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("the server did not answer")?;
    serde_json::from_str(body).map_err(|_| answer.into())
}
