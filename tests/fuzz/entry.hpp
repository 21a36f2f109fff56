#pragma once

#include <optional>
#include <string>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"

/// What must hold for any bytes at all. The libFuzzer targets and the replay test call the same
/// functions.
namespace spoke::fuzz {

/// What does not hold, in words; nullopt if all is well.
using Finding = std::optional<std::string>;

/// Decodes `frame` as it is. An error names a rule and a place in the frame; a packet can be
/// encoded, in no more bytes, and decodes to the same value again; the view of a PUBLISH agrees
/// with the packet.
[[nodiscard]] Finding check_decode(Bytes frame, mqtt::Version version, mqtt::Sender sender);

/// The same for the packet whose first byte is the first of `input` and whose body is the rest: the
/// length is put in, so that random bytes reach the decoders.
[[nodiscard]] Finding check_decode_body(Bytes input, mqtt::Version version, mqtt::Sender sender);

/// Cuts a stream into packets. The first byte of `input` gives the sizes in which the rest is fed:
/// the packets and the final error are the same for every size.
[[nodiscard]] Finding check_framing(Bytes input);

/// Takes what stands before the first newline as topic filter and what stands behind as topic name,
/// and asks the slow reference as well.
[[nodiscard]] Finding check_topic_filter(Bytes input);

// --- broker ---

/// The first byte of each of these gives the size of the pieces in which the rest is fed: they are
/// understood as the whole is.
[[nodiscard]] Finding check_websocket_frames(Bytes input);
[[nodiscard]] Finding check_websocket_upgrade(Bytes input);

/// The first byte chooses what is allowed. A header is understood exactly when its last byte has
/// come, and what is none stays none.
[[nodiscard]] Finding check_proxy_header(Bytes input);

/// Files: an error has a reason of one line; what is taken is as large as the file allows and says
/// the same when it is written again.
[[nodiscard]] Finding check_password_file(Bytes input);
[[nodiscard]] Finding check_scram_file(Bytes input);
[[nodiscard]] Finding check_acl_file(Bytes input);

/// The messages of a client, one a line: nobody without the password is accepted, and nothing is
/// said behind a refusal.
[[nodiscard]] Finding check_scram_messages(Bytes input);

/// A configuration is refused in one line, or written again as something that loads and says the
/// same.
[[nodiscard]] Finding check_configuration(Bytes input);

// --- the broker's store ---

/// The first byte says how long the key is that follows; the rest is the value, to which the right
/// checksum is added. A record that is taken can be written again, in no more bytes, and says the
/// same.
[[nodiscard]] Finding check_store_record(Bytes input);

/// A log of any bytes behind the first: what is found lies in it, in order.
[[nodiscard]] Finding check_store_log(Bytes input);

/// A log in which a byte is changed: the first byte of the input says how long its records are, the
/// next three where the change is, the rest is what stands in them. Every other record is found.
[[nodiscard]] Finding check_damaged_log(Bytes input);

/// A table of any bytes: what is found lies in it.
[[nodiscard]] Finding check_store_table(Bytes input);

/// The first byte says what the rest is: a manifest, a record of one, or what names it. It is read,
/// or damaged.
[[nodiscard]] Finding check_store_manifest(Bytes input);

/// The file that tells the format: a version that is taken is written the same.
[[nodiscard]] Finding check_store_format_file(Bytes input);

// --- the whole ---

// --- bridge ---

/// Of a request: an error is a problem; what is taken says the same when it is written again.
[[nodiscard]] Finding check_request_target(Bytes input);
[[nodiscard]] Finding check_command_body(Bytes input);
[[nodiscard]] Finding check_device_body(Bytes input);

/// Of a reader over WebSocket: whatever it sends, the answer is one JSON object with its "q"; what
/// is taken is a request that can be read, or a valid topic filter.
[[nodiscard]] Finding check_event_operation(Bytes input);

/// A token is taken only if the key has signed it and its time has not passed.
[[nodiscard]] Finding check_token(Bytes input);

/// Files of keys: an error has a reason of one line.
[[nodiscard]] Finding check_key_set(Bytes input);
[[nodiscard]] Finding check_api_keys(Bytes input);

/// What two clients do to a whole core: the first byte chooses settings, then come steps of a byte
/// that says what happens to whom and a byte that says how much of it, with bytes that are sent
/// behind it:
///   client (1 bit) · 0 send, 1 send and more follows in the same write, 2 a second or more goes
///   by, 3 the connection is cut, 4 its socket takes so much more, 5 its socket takes all
/// What the core sends can be decoded and comes in a legal order, and its counters agree with its
/// state.
[[nodiscard]] Finding check_stream(Bytes input);

}  // namespace spoke::fuzz
