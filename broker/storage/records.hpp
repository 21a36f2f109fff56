#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/core/message.hpp"
#include "broker/core/ports/store.hpp"
#include "broker/core/stored_as.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::broker {

/// Keys and values of the store, byte by byte as FORMAT.md has them. Pure functions: a value never
/// asserts and never allocates more than it is long, whatever is in it.

/// The first byte of a key.
enum class RecordFamily : char {
    message = 'B',  // body
    delivery = 'D',
    inbound = 'I',
    meta = 'M',
    retained = 'R',
    session = 'S',
    subscription = 'U',
};

/// The second byte of a meta key.
enum class MetaField : char {
    format_version = 'v',
    hash_seed = 'h',
    session_mark = 'n',  // no session has this number or a higher one
    starts = 's',        // how often the store was opened
};

inline constexpr std::uint64_t kFormatVersion = 2;
/// The oldest version whose records are read as those of kFormatVersion are.
inline constexpr std::uint64_t kFormatReadable = 1;
inline constexpr std::uint64_t kSessionNumberEnd = std::uint64_t{1} << 40;

/// Why a record cannot be used.
enum class RecordError : std::uint8_t {
    bad_key,         // of another family, or not as long as it must be
    cut,             // shorter than its checksum
    wrong_checksum,  // not what was written
    malformed,       // the checksum is right, the fields are not: by whom was this written?
};
[[nodiscard]] std::string_view describe(RecordError error) noexcept;
/// Never thrown: `value()` of a failed result is our own mistake.
[[noreturn]] void throw_exception_from_error(RecordError error,
                                             boost::source_location const& where);
template <class T>
using RecordResult = boost::system::result<T, RecordError>;

[[nodiscard]] std::optional<RecordFamily> family_of(std::string_view key) noexcept;

// --- Keys; those of fixed length fit into a std::string without an allocation ---

[[nodiscard]] std::string meta_key(MetaField field);
[[nodiscard]] std::string session_key(SessionNumber session);
[[nodiscard]] std::string subscription_key(SessionNumber session, std::string_view filter);
[[nodiscard]] std::string inbound_key(SessionNumber session, mqtt::PacketId id);
[[nodiscard]] std::string delivery_key(SessionNumber session, DeliveryNumber number);
/// Of the message of a delivery: its own, or one that it shares.
[[nodiscard]] std::string message_key(SessionNumber session, StoredAs as);
[[nodiscard]] std::string retained_key(std::string_view topic);

// --- Values. `out` is overwritten: keep one for many ---

void encode_meta(std::string_view key, std::uint64_t number, std::string& out);
void encode_session(std::string_view key, StoredSession const& session, std::string& out);
void encode_subscription(std::string_view key, StoredSubscription const& subscription,
                         std::string& out);
void encode_inbound(std::string_view key, std::string& out);
void encode_delivery(std::string_view key, StoredDelivery const& delivery,
                     std::optional<StoredProgress> const& progress, std::string& out);
void encode_message(std::string_view key, Message const& message, std::string& out);
void encode_retained(std::string_view key, Message const& message, std::string& out);

struct MetaRecord {
    MetaField field{};
    std::uint64_t number = 0;
};
struct SubscriptionRecord {
    SessionNumber session{};
    std::string_view filter{};  // in the key
    StoredSubscription subscription{};
};
struct InboundRecord {
    SessionNumber session{};
    mqtt::PacketId id{};
};
struct DeliveryRecord {
    StoredDelivery delivery{};
    std::optional<StoredProgress> progress{};
};

[[nodiscard]] RecordResult<MetaRecord> decode_meta(std::string_view key, std::string_view value);
[[nodiscard]] RecordResult<StoredSession> decode_session(std::string_view key,
                                                         std::string_view value);
[[nodiscard]] RecordResult<SubscriptionRecord> decode_subscription(std::string_view key,
                                                                   std::string_view value);
[[nodiscard]] RecordResult<InboundRecord> decode_inbound(std::string_view key,
                                                         std::string_view value);
[[nodiscard]] RecordResult<DeliveryRecord> decode_delivery(std::string_view key,
                                                           std::string_view value);
[[nodiscard]] RecordResult<MessagePtr> decode_message(std::string_view key, std::string_view value);
[[nodiscard]] RecordResult<MessagePtr> decode_retained(std::string_view key,
                                                       std::string_view value);

/// What the keys of deliveries and messages hold: a session, 0 for shared messages, and a number.
struct NumberedKey {
    SessionNumber session{};
    DeliveryNumber number{};
    friend bool operator==(NumberedKey const&, NumberedKey const&) = default;
};
[[nodiscard]] std::optional<NumberedKey> parse_numbered_key(std::string_view key) noexcept;

}  // namespace spoke::broker
