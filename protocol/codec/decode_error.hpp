#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <string_view>

#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// Why bytes are not a packet.
struct DecodeError {
    ReasonCode reason{};      // what a v5 peer is told
    std::size_t offset = 0;   // where the first bad field begins, counted from the fixed header
    std::string_view rule{};  // "MQTT-2.2.1-3" of the connection's version, or a few words where
                              // the rule has no number; static storage
    friend bool operator==(DecodeError const&, DecodeError const&) = default;
};

/// Never thrown: `value()` of a failed result is our own mistake.
[[noreturn]] void throw_exception_from_error(DecodeError const& error,
                                             boost::source_location const& where);

template <class T>
using Result = boost::system::result<T, DecodeError>;

}  // namespace spoke::mqtt
