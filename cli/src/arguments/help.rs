//! The texts below the options.

macro_rules! exit_codes {
    () => {
        "Exit codes:
  0   done
  1   wrong command line, or a file or stream that cannot be used
  2   no connection to the broker
  3   the broker refused the connection, a subscription or a message
  4   not everything was delivered
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
