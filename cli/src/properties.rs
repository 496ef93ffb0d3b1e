//! `-D command identifier value`: properties of MQTT 5.0.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use packetboat_core::wire::{Place, PropertiesBuf, Property, PropertyError};

use crate::failure::Failure;

/// All of `-D`.
#[derive(Debug, Default)]
pub(crate) struct PropertyArguments(Vec<PropertyArgument>);

#[derive(Debug)]
struct PropertyArgument {
    place: Place,
    property: Property,
    /// Of a user property.
    name: String,
    value: String,
}

/// The packets whose properties can be given.
const PLACES: [(&str, Place); 6] = [
    ("connect", Place::Connect),
    ("publish", Place::Publish),
    ("subscribe", Place::Subscribe),
    ("unsubscribe", Place::Unsubscribe),
    ("disconnect", Place::Disconnect),
    ("will", Place::Will),
];

impl PropertyArguments {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails if there are properties of other packets.
    pub(crate) fn only(&self, places: &[Place]) -> Result<(), Failure> {
        let Some(wrong) = self.0.iter().find(|argument| !places.contains(&argument.place)) else {
            return Ok(());
        };
        let possible: Vec<&str> = places.iter().map(|place| place_name(*place)).collect();
        let (wrong, possible) = (place_name(wrong.place), possible.join(", "));
        Err(Failure::usage(format_args!("-D {wrong} is not possible here: the packets are {possible}")))
    }

    /// The value of a property with a number that is not handed on as a property, but as an option of the client.
    pub(crate) fn number<T: std::str::FromStr>(&self, place: Place, property: Property) -> Option<T> {
        self.find(place, property)?.value.parse().ok()
    }

    /// The properties of a packet, but those in `without`.
    pub(crate) fn block(&self, place: Place, without: &[Property]) -> PropertiesBuf {
        let mut block = PropertiesBuf::new();
        for argument in self.0.iter().filter(|argument| argument.place == place) {
            if !without.contains(&argument.property) {
                // Each was tried when it was parsed.
                let _ = argument.set(&mut block);
            }
        }
        block
    }

    pub(crate) fn has(&self, place: Place, property: Property) -> bool {
        self.find(place, property).is_some()
    }

    fn find(&self, place: Place, property: Property) -> Option<&PropertyArgument> {
        self.0.iter().find(|argument| argument.place == place && argument.property == property)
    }

    fn add(&mut self, words: &[String]) -> Result<(), String> {
        let argument = PropertyArgument::parse(words)?;
        let (place, property) = (argument.place, argument.property);
        if !property.may_repeat_in(place) && self.find(place, property).is_some() {
            return Err(format!("{} was given twice", kebab(property)));
        }
        argument.set(&mut PropertiesBuf::new())?;
        self.0.push(argument);
        Ok(())
    }
}

impl PropertyArgument {
    fn parse(words: &[String]) -> Result<Self, String> {
        let [place, identifier, values @ ..] = words else {
            return Err("a packet, a property and a value are needed".into());
        };
        let place = PLACES.iter().find(|(name, _)| name.eq_ignore_ascii_case(place)).ok_or_else(|| {
            let names: Vec<&str> = PLACES.iter().map(|(name, _)| *name).collect();
            format!("{place:?} is no packet with properties to give: use {}", names.join(", "))
        })?;
        let place = place.1;
        let property = allowed(place).find(|property| kebab(*property).eq_ignore_ascii_case(identifier));
        let property = property.ok_or_else(|| {
            let names: Vec<String> = allowed(place).map(kebab).collect();
            format!("{identifier:?} is no property for {}: use {}", place_name(place), names.join(", "))
        })?;
        match (property, values) {
            (Property::UserProperty, [name, value]) => {
                Ok(Self { place, property, name: name.clone(), value: value.clone() })
            }
            (Property::UserProperty, _) => Err("a user property needs a name and a value".into()),
            (_, [value]) => Ok(Self { place, property, name: String::new(), value: value.clone() }),
            _ => Err(format!("{} takes one value", kebab(property))),
        }
    }

    fn set(&self, block: &mut PropertiesBuf) -> Result<(), String> {
        let value = self.value.as_str();
        let wrong = |error: PropertyError| format!("{} {value:?}: {error}", kebab(self.property));
        match self.property {
            Property::PayloadFormatIndicator => block.payload_format_indicator(self.flag()?),
            Property::MessageExpiryInterval => block.message_expiry_interval(self.parsed()?),
            Property::ContentType => block.content_type(value).map_err(wrong)?,
            Property::ResponseTopic => block.response_topic(value).map_err(wrong)?,
            Property::CorrelationData => block.correlation_data(value.as_bytes()).map_err(wrong)?,
            Property::SessionExpiryInterval => block.session_expiry_interval(self.parsed()?),
            Property::AuthenticationMethod => block.authentication_method(value).map_err(wrong)?,
            Property::AuthenticationData => block.authentication_data(value.as_bytes()).map_err(wrong)?,
            Property::RequestProblemInformation => block.request_problem_information(self.flag()?),
            Property::RequestResponseInformation => block.request_response_information(self.flag()?),
            Property::WillDelayInterval => block.will_delay_interval(self.parsed()?),
            Property::ReasonString => block.reason_string(value).map_err(wrong)?,
            Property::ReceiveMaximum => block.receive_maximum(self.parsed()?).map_err(wrong)?,
            Property::TopicAliasMaximum => block.topic_alias_maximum(self.parsed()?),
            Property::TopicAlias => block.topic_alias(self.parsed()?).map_err(wrong)?,
            Property::UserProperty => block.user_property(&self.name, value).map_err(wrong)?,
            Property::MaximumPacketSize => block.maximum_packet_size(self.parsed()?).map_err(wrong)?,
            // Not among those that are allowed.
            _ => return Err(format!("{} cannot be given", kebab(self.property))),
        };
        Ok(())
    }

    fn parsed<T: std::str::FromStr>(&self) -> Result<T, String> {
        let bits = 8 * size_of::<T>();
        self.value.parse().map_err(|_| {
            format!("{} {:?}: write a number of at most {bits} bits", kebab(self.property), self.value)
        })
    }

    fn flag(&self) -> Result<bool, String> {
        match self.value.as_str() {
            "0" => Ok(false),
            "1" => Ok(true),
            other => Err(format!("{} {other:?}: write 0 or 1", kebab(self.property))),
        }
    }
}

/// The properties a client may give, but those that only make sense to who assigns them.
fn allowed(place: Place) -> impl Iterator<Item = Property> {
    Property::all().filter(move |property| {
        let assigned = matches!(property, Property::SubscriptionIdentifier | Property::ServerReference);
        property.is_allowed_in(place) && !assigned
    })
}

fn place_name(place: Place) -> &'static str {
    PLACES.iter().find(|(_, known)| *known == place).map_or("packet", |(name, _)| name)
}

/// The name on the command line: "Content Type" is `content-type`.
fn kebab(property: Property) -> String {
    property.name().to_ascii_lowercase().replace(' ', "-")
}

/// By hand: the derive cannot tell where one `-D` ends and the next begins.
impl Args for PropertyArguments {
    fn augment_args(command: Command) -> Command {
        let help = "Property of MQTT 5.0: -D <packet> <property> [name] <value>; see below";
        let argument =
            Arg::new("property").short('D').long("property").num_args(3..=4).action(ArgAction::Append);
        let names = ["PACKET", "PROPERTY", "VALUE"];
        let argument =
            argument.allow_negative_numbers(true).value_names(names).help(help).help_heading("Session");
        command.arg(argument)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PropertyArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut arguments = Self::default();
        arguments.update_from_arg_matches(matches)?;
        Ok(arguments)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for words in matches.get_occurrences::<String>("property").into_iter().flatten() {
            let words: Vec<String> = words.cloned().collect();
            self.add(&words).map_err(|why| {
                clap::Error::raw(ErrorKind::ValueValidation, format!("-D {}: {why}\n", words.join(" ")))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(arguments: &mut PropertyArguments, text: &str) -> Result<(), String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        arguments.add(&words)
    }

    #[test]
    fn properties_are_taken_by_packet() {
        let mut arguments = PropertyArguments::default();
        for text in [
            "publish content-type text/plain",
            "PUBLISH user-property a b",
            "publish user-property a c",
            "publish payload-format-indicator 1",
            "will will-delay-interval 5",
            "connect receive-maximum 7",
        ] {
            add(&mut arguments, text).unwrap();
        }
        let block = arguments.block(Place::Publish, &[]);
        let properties = block.as_properties();
        assert_eq!(properties.content_type(), Some("text/plain"));
        assert_eq!(properties.user_properties().collect::<Vec<_>>(), [("a", "b"), ("a", "c")]);
        assert_eq!(properties.payload_format_indicator(), Some(true));
        assert_eq!(arguments.block(Place::Will, &[]).as_properties().will_delay_interval(), Some(5));
        assert_eq!(arguments.number::<u16>(Place::Connect, Property::ReceiveMaximum), Some(7));
        assert!(arguments.block(Place::Connect, &[Property::ReceiveMaximum]).is_empty());
        assert!(arguments.only(&[Place::Publish, Place::Will]).is_err());
    }

    #[test]
    fn mistakes_are_explained() {
        let mut arguments = PropertyArguments::default();
        let mut error = |text: &str| add(&mut arguments, text).unwrap_err();
        assert!(error("pingreq content-type a").contains("use connect, publish"));
        assert!(error("connect content-type a").contains("receive-maximum"));
        assert!(error("publish content-type a b").contains("one value"));
        assert!(error("publish user-property a").contains("a name and a value"));
        assert!(error("publish message-expiry-interval x").contains("32 bits"));
        assert!(error("publish topic-alias 0").contains("topic-alias"));
        assert!(error("publish payload-format-indicator 2").contains("0 or 1"));
        assert!(error("subscribe subscription-identifier 1").contains("user-property"));
        add(&mut arguments, "will content-type a").unwrap();
        assert!(add(&mut arguments, "will content-type a").unwrap_err().contains("twice"));
    }
}
