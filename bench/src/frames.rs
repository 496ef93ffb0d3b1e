//! MQTT packets by hand, as the sink and the raw client need them: heads are read, bodies are skipped.

/// Twenty bytes.
pub const TOPIC: &str = "plant/line7/sensor42";
/// As long, of messages that carry the time at which they were published.
pub const PROBE: &str = "plant/line7/probe-42";
/// What receivers subscribe to.
pub const FILTER: &str = "plant/line7/+";

pub const CONNECT: u8 = 1;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const PUBREC: u8 = 5;
pub const PUBREL: u8 = 6;
pub const PUBCOMP: u8 = 7;
pub const SUBSCRIBE: u8 = 8;
pub const UNSUBSCRIBE: u8 = 10;
pub const PINGREQ: u8 = 12;
pub const DISCONNECT: u8 = 14;

/// The protocol level of 5.0, whose packets have properties.
pub const LEVEL_5: u8 = 5;

/// A remaining length and how many bytes it takes; `None`: not all there.
#[inline]
pub fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.first()?;
    if first & 0x80 == 0 {
        return Some((first.into(), 1));
    }
    let mut value = usize::from(first & 0x7f);
    for (index, &byte) in bytes.iter().enumerate().take(4).skip(1) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// The first byte, the size of the fixed header and the size of the whole packet at the front of these bytes.
#[inline]
pub fn split(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let (remaining, used) = length(rest)?;
    Some((first, 1 + used, 1 + used + remaining))
}

pub fn put_length(mut value: usize, out: &mut Vec<u8>) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    put_length(body.len(), &mut out);
    out.extend_from_slice(body);
    out
}

/// A two-byte acknowledgement: success without properties has this shape in both versions.
#[inline]
pub const fn acknowledgement(kind: u8, id: [u8; 2]) -> [u8; 4] {
    let flags = if kind == PUBREL { 2 } else { 0 };
    [kind << 4 | flags, 2, id[0], id[1]]
}

pub fn connect(client_id: &str) -> Vec<u8> {
    let mut body = Vec::new();
    put_text("MQTT", &mut body);
    body.extend_from_slice(&[4, 2, 0, 0]);
    put_text(client_id, &mut body);
    packet(CONNECT << 4, &body)
}

pub fn connack(level: u8) -> &'static [u8] {
    if level == LEVEL_5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] }
}

pub fn subscribe(qos: u8) -> Vec<u8> {
    let mut body = vec![0, 1];
    put_text(FILTER, &mut body);
    body.push(qos);
    packet(SUBSCRIBE << 4 | 2, &body)
}

/// What a CONNECT says that matters here.
pub struct Connect {
    pub level: u8,
    pub receive_maximum: u16,
    pub client_id: String,
}

impl Connect {
    pub fn parse(body: &[u8]) -> Option<Self> {
        let name = text(body)?;
        let (level, mut rest) = body.get(2 + name.len()..)?.split_first()?;
        rest = rest.get(3..)?;
        let mut receive_maximum = u16::MAX;
        if *level == LEVEL_5 {
            let (size, used) = length(rest)?;
            receive_maximum = receive_maximum_of(rest.get(used..used + size)?).unwrap_or(u16::MAX);
            rest = rest.get(used + size..)?;
        }
        let client_id = String::from_utf8(text(rest)?.to_vec()).ok()?;
        Some(Self { level: *level, receive_maximum, client_id })
    }
}

/// CONNECT properties are session expiry (0x11), receive maximum (0x21), maximum packet size (0x27), topic alias
/// maximum (0x22), two flags and texts; clients under test send no texts.
fn receive_maximum_of(mut properties: &[u8]) -> Option<u16> {
    loop {
        let (&name, value) = properties.split_first()?;
        let size = match name {
            0x21 => return Some(u16::from_be_bytes([*value.first()?, *value.get(1)?])),
            0x11 | 0x27 => 4,
            0x22 => 2,
            0x17 | 0x19 => 1,
            _ => return None,
        };
        properties = value.get(size..)?;
    }
}

/// What a SUBSCRIBE says, and the SUBACK for it.
pub struct Subscribe {
    pub identifier: Option<u32>,
    pub answer: Vec<u8>,
}

impl Subscribe {
    pub fn parse(body: &[u8], level: u8) -> Option<Self> {
        let mut answer = body.get(..2)?.to_vec();
        let mut rest = body.get(2..)?;
        let mut identifier = None;
        if level == LEVEL_5 {
            answer.push(0);
            let (size, used) = length(rest)?;
            let properties = rest.get(used..used + size)?;
            if properties.first() == Some(&0x0b) {
                identifier = length(&properties[1..]).map(|(value, _)| value as u32);
            }
            rest = rest.get(used + size..)?;
        }
        while let Some(filter) = text(rest) {
            answer.push(rest.get(2 + filter.len())? & 3);
            rest = rest.get(3 + filter.len()..)?;
        }
        Some(Self { identifier, answer: packet(0x90, &answer) })
    }
}

pub fn unsuback(body: &[u8], level: u8) -> Vec<u8> {
    let id = body.get(..2).unwrap_or(&[0, 0]);
    if level == LEVEL_5 { packet(0xb0, &[id[0], id[1], 0, 0]) } else { packet(0xb0, id) }
}

fn text(bytes: &[u8]) -> Option<&[u8]> {
    let size = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
    bytes.get(2..2 + usize::from(size))
}

/// The identifier of a PUBLISH above QoS 0.
#[inline]
pub fn publish_id(body: &[u8]) -> [u8; 2] {
    let at = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    [body[at], body[at + 1]]
}

/// Pre-encoded messages of one size, with ascending identifiers, to be sent over and over.
pub struct Block {
    bytes: Vec<u8>,
    frame: usize,
    count: usize,
}

impl Block {
    /// A broker of 5.0 names the subscription a message is for, if the client asked for it by giving `identifier`.
    pub fn new(qos: u8, payload: usize, level: u8, identifier: Option<u32>) -> Self {
        Self::of_topics(1, qos, payload, level, identifier)
    }

    /// The same, of so many topics in turn.
    pub fn of_topics(topics: usize, qos: u8, payload: usize, level: u8, identifier: Option<u32>) -> Self {
        let mut body = Vec::new();
        put_text(TOPIC, &mut body);
        let id_at = body.len();
        if qos > 0 {
            body.extend_from_slice(&[0, 0]);
        }
        if level == LEVEL_5 {
            let mut properties = Vec::new();
            if let Some(identifier) = identifier {
                properties.push(0x0b);
                put_length(identifier as usize, &mut properties);
            }
            put_length(properties.len(), &mut body);
            body.extend_from_slice(&properties);
        }
        body.extend((0..payload).map(|index| b'a' + (index % 26) as u8));
        let frame = packet(PUBLISH << 4 | qos << 1, &body);
        let head = frame.len() - body.len();
        // Four windows of 1,000 while they are small, so that an identifier is free again when its turn comes.
        let count = (4 * 1024 * 1024 / frame.len()).clamp(8, 4000);
        let mut bytes = Vec::with_capacity(count * frame.len());
        for id in 1..=count as u16 {
            let start = bytes.len();
            bytes.extend_from_slice(&frame);
            if qos > 0 {
                bytes[start + head + id_at..][..2].copy_from_slice(&id.to_be_bytes());
            }
            if topics > 1 {
                let last = format!("{:08}", usize::from(id) % topics);
                bytes[start + head + id_at - last.len()..][..last.len()].copy_from_slice(last.as_bytes());
            }
        }
        Self { bytes, frame: frame.len(), count }
    }

    /// The next frames when `sent` are out: at most `limit`, as many as lie side by side.
    pub fn next(&self, sent: usize, limit: usize) -> (usize, &[u8]) {
        let first = sent % self.count;
        let count = limit.min(self.count - first);
        (count, &self.bytes[first * self.frame..(first + count) * self.frame])
    }

    /// How many may be unacknowledged at once.
    pub fn most(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_survive() {
        for value in [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
            let mut bytes = Vec::new();
            put_length(value, &mut bytes);
            assert_eq!(length(&bytes), Some((value, bytes.len())));
            assert_eq!(length(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn blocks_wrap_and_count_identifiers() {
        let block = Block::new(1, 64, 4, None);
        let (count, bytes) = block.next(3999, 10);
        assert_eq!((count, bytes.len()), (1, 2 + 22 + 2 + 64));
        assert_eq!(publish_id(&bytes[2..]), 4000_u16.to_be_bytes());
        assert_eq!(publish_id(&block.next(4000, 1).1[2..]), [0, 1]);
    }

    #[test]
    fn topics_take_turns() {
        let block = Block::of_topics(3, 1, 64, 4, None);
        let topic = |sent| String::from_utf8(block.next(sent, 1).1[4..24].to_vec()).unwrap();
        assert_eq!([topic(0), topic(1)], ["plant/line7/00000001", "plant/line7/00000002"]);
        assert_eq!(topic(0), topic(3));
    }

    #[test]
    fn connects_are_understood() {
        let connect = Connect::parse(&connect("id")[2..]).unwrap();
        assert_eq!((connect.level, connect.receive_maximum, &*connect.client_id), (4, u16::MAX, "id"));
        let five = b"\0\x04MQTT\x05\x02\0\x3c\x08\x11\0\0\0\x01\x21\x04\0\0\x02id";
        let connect = Connect::parse(five).unwrap();
        assert_eq!((connect.level, connect.receive_maximum, &*connect.client_id), (5, 1024, "id"));
    }
}
