#pragma once

#include <functional>
#include <optional>
#include <string>

namespace spoke::broker {

class StoreReader;

struct DumpWish {
    bool with_messages = false;            // and the payloads of retained ones
    std::optional<std::string> session{};  // of this client id alone
};

/// Writes what is in the store as JSON, one object a line: first all sessions, then what they have,
/// then retained messages. What is damaged stands there as {"kind": "damaged", ...}.
/// Errors  StoreError; also if there is no session of that client id.
void dump_store(StoreReader& reader, DumpWish const& wish,
                std::function<void(std::string const& line)> const& print);

}  // namespace spoke::broker
