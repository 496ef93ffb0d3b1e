//! The texts below the options.

macro_rules! exit_codes {
    () => {
        "Exit codes:
  0   done
  1   wrong command line, or a file or stream that cannot be used
  2   no connection to the broker
  3   the broker refused the connection, a subscription or a message
  4   not everything was delivered
  5   doctor: the broker does something else than it says
  27  sub -W, rr -W: the time is up"
    };
}

pub(super) const COMMAND_SHORT: &str =
    "`packetboat <command> --help` has the options of a command, with examples.";

pub(super) const COMMAND: &str = concat!(
    "Examples:
  packetboat demo                                    no broker needed
  packetboat sub -h test.mosquitto.org -t 'boats/#' -v
  packetboat pub -h test.mosquitto.org -t boats/1 -m 'ahoy' -q 1

",
    exit_codes!(),
    "

`packetboat <command> --help` has the options of a command, with more examples."
);

pub(super) const COMPLETIONS: &str = "Examples:
  packetboat completions bash > ~/.local/share/bash-completion/completions/packetboat
  packetboat completions zsh > ~/.zfunc/_packetboat
  packetboat completions fish > ~/.config/fish/completions/packetboat.fish";

pub(super) const MAN: &str = "Examples:
  packetboat man ~/.local/share/man/man1
  man packetboat-sub";

pub(super) const PUBLISH: &str = concat!(
    "Examples:
  A message, acknowledged by the broker:
    packetboat pub -t room/1/temperature -m 21.5 -q 1

  The last known value of a topic, and its removal:
    packetboat pub -t room/1/state -m open -r
    packetboat pub -t room/1/state -n -r

  A picture:
    packetboat pub -h broker.example -t camera/1 -f picture.jpg

  Every line of a file, each delivered exactly once:
    packetboat pub -t log/boat -q 2 -l < boat.log

  With properties of MQTT 5.0:
    packetboat pub -t a -m '{}' -D publish content-type application/json -D publish user-property trace 7

  Broker, user, password and topic in one:
    packetboat pub -L mqtt://me:secret@broker.example/room/1/light -m on

Properties (-D) can be those of connect, publish and will. Their names are the
specification's, in lower case and with hyphens: message-expiry-interval.
A connection that is lost is made anew, and what was not acknowledged is sent
again, for as long as it takes; -W sets a limit.

",
    exit_codes!()
);

pub(super) const REQUEST: &str = concat!(
    "Examples:
  Ask, and print the answer:
    packetboat rr -t boiler/temperature -n

  As JSON with properties, but wait no longer than 5 seconds:
    packetboat rr -t boiler/set -m 21.5 -F %j -W 5

  With the answer on a topic of your choice, as mosquitto_rr does it:
    packetboat rr -t boiler/temperature -e my/answers -n

With 5.0 the request carries response topic and correlation data. 3.1.1 has
neither: without -e the request goes to <topic>/$request/<response topic>/<number>,
which responders made with Packetboat understand; with -e any message on that
topic is the answer. An error or a refusal of the responder ends with exit code 3.
The format of -F is that of sub.

",
    exit_codes!()
);

pub(super) const BENCH: &str = concat!(
    "Examples:
  A thousand messages a second of each size, from ten publishers to ten subscribers:
    packetboat bench -h broker.example --publishers 10 --subscribers 10 --rate 1000 -s 64,1024 -q 1

  As many as get through, for a minute, for a program:
    packetboat bench -q 1 --time 60 --json

With --rate the plan waits for nobody: a message that could not go out in time
counts from when it was due, as its user would have felt it (no coordinated
omission). Without it each message is due when there is room for it, and times
are those of a queue that is always full: a measure of throughput, not of how
long a message takes. Arrivals and acknowledgements are timed in this process,
by one clock. How busy the machine was, and by how much the plan was missed, is
told with the results: a machine at its limit measures itself.
Messages at QoS 0 count as lost when they do not arrive within --patience.

",
    exit_codes!()
);

pub(super) const DOCTOR: &str = concat!(
    "Examples:
  All that can be tried:
    packetboat doctor mqtts://me:secret@broker.example

  With topics that the user may use, for a program:
    packetboat doctor -L mqtt://broker.example -u me -P secret -t my/own --json

What the broker claims in CONNACK (5.0) is tried as well as what it does not:
that it takes what it says it does not take is told, too. Each trial has its own
connections. `claim` is - where the protocol has no way to claim it; `not tried`
says that we are not allowed to, or that it would take too long. Retained messages
and sessions that were made are taken away again, also after Ctrl-C; what could
not be taken away is named.

",
    exit_codes!()
);

#[cfg(feature = "top")]
pub(super) const TOP: &str = concat!(
    "Keys:
  q, Esc, Ctrl-C      end
  up, down, j, k      choose a topic; also Page up, Page down, Home, End
  left, right         close and open what is below a topic
  -, +                close and open all
  s                   sort by name, rate or messages
  p                   pause: what arrives meanwhile is not counted

Numbers are of a topic and all below it. Payloads that are no text are shown in
hexadecimal digits; characters that would move the cursor are shown as escapes.
However many topics there are, memory is bounded (--topics).

",
    exit_codes!()
);

pub(super) const RECORD: &str = concat!(
    "Examples:
  Everything below room, until Ctrl-C:
    packetboat record -t 'room/#' room.jsonl

  An hour of everything, packed:
    packetboat record -t '#' -W 3600 - | gzip > all.jsonl.gz

The file is JSON, an object on each line. The first is the head:
  {\"packetboat_recording\":1,\"started\":\"2026-11-25T17:30:00.000000+01:00\"}
Each further line is a message:
  at              seconds since the start, to the microsecond
  topic           as it is
  qos, retain     as delivered; retain only if true
  payload         if it is UTF-8; otherwise payload_base64
  properties      if it has any (5.0): content-type, response-topic,
                  correlation-data-base64, message-expiry-interval (what was
                  left of it), payload-format-indicator (true or false) and
                  user-properties, a list of pairs
Messages of QoS 1 and 2 are acknowledged when they are in the file. With 5.0 the
retain flag is the publisher's; 3.1.1 tells it of those only that were kept.

",
    exit_codes!()
);

pub(super) const REPLAY: &str = concat!(
    "Examples:
  As it was:
    packetboat replay room.jsonl

  Ten times as fast, at another broker:
    packetboat replay --speed 10 -h test.example room.jsonl

  As fast as can be, from a packed file:
    gunzip < all.jsonl.gz | packetboat replay --speed max -

Time begins with the first message. A message is published when it is due,
whether or not earlier ones are acknowledged; how late the latest one was is
told at the end. `packetboat record --help` describes the file.

",
    exit_codes!()
);

pub(super) const SUBSCRIBE: &str = concat!(
    "Examples:
  Everything below room, with topics:
    packetboat sub -t 'room/#' -v

  One retained value, for a script, but wait no longer than 5 seconds:
    packetboat sub -t room/1/state -C 1 -W 5

  As JSON, one object per line:
    packetboat sub -t 'room/#' -F %j

  Time, QoS, topic and payload in hexadecimal:
    packetboat sub -t '#' -F '@Y-@m-@d @H:@M:@S %q %t %x'

  Prepare a session, and fetch later what was published meanwhile:
    packetboat sub -i logger -c -q 1 -t 'log/#' -E
    packetboat sub -i logger -c -q 1 -t 'log/#'

  A value out of JSON, of the rooms that are open:
    packetboat sub -t 'room/#' --where /state=open --pointer /temperature -v

  JSON to be read, or into files of 10 MB, of which ten are kept:
    packetboat sub -t 'room/#' --pretty
    packetboat sub -t 'room/#' -F %j --output-file room.jsonl --rotate 10M

  Remove all retained messages below a topic:
    packetboat sub -t 'old/#' --remove-retained --retained-only -W 5

Format (-F):
  %t topic   %p payload   %x %X payload in hexadecimal   %l payload's length
  %q QoS   %r retain flag   %m packet identifier (0 for now)   %% percent sign
  %j JSON with the payload as a string   %J JSON, and the payload is JSON itself
  %I date and time (ISO 8601)   %U Unix time with nanoseconds
  %A topic alias   %C content type   %D correlation data   %R response topic
  %E message expiry interval   %F payload format indicator
  %P user properties   %S subscription identifier
  %5t at least 5 wide   %-5t to the left   %05l with zeros
  %5.5t exactly 5 (%C %I %R %t)
  @X is %X of strftime, such as @H:@M:@S   @N nanoseconds   @@ is @
  \\\\ \\0 \\a \\e \\n \\r \\t \\v

An empty payload prints nothing, with -v it prints (null). Messages of QoS 1
and 2 are acknowledged when they have been written. A connection that is lost
is made anew. Properties (-D) can be those of connect and will; their names are
the specification's, in lower case and with hyphens: will-delay-interval.

",
    exit_codes!()
);
