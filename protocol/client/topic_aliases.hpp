#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace spoke::mqtt {

/// The aliases of the server's topics, for one connection (MQTT 5, 3.3.2.3.4).
class IncomingAliases {
public:
    /// A new connection: `maximum` was announced in CONNECT.
    void begin(std::uint16_t maximum) noexcept;

    [[nodiscard]] bool is_allowed(std::uint16_t alias) const noexcept;
    void set(std::uint16_t alias, std::string_view topic);
    /// The topic of an allowed alias; empty if it was never set. Lives until begin() or set().
    [[nodiscard]] std::string_view find(std::uint16_t alias) const noexcept;

private:
    std::vector<std::string> topics_;  // grows to the highest alias seen
    std::uint16_t maximum_ = 0;
};

/// The aliases this client gives its topics, for one connection: the first topics get one each
/// until the server's maximum is used up. No alias ever moves to another topic.
class OutgoingAliases {
public:
    /// A new connection, with room for `maximum` aliases; 0 is off.
    void begin(std::uint16_t maximum) noexcept;

    [[nodiscard]] bool is_on() const noexcept { return maximum_ > 0; }
    /// The alias of the topic; 0 if it has none.
    [[nodiscard]] std::uint16_t find(std::string_view topic) const noexcept;
    /// The alias that add() would give; 0 if all are used up.
    [[nodiscard]] std::uint16_t next() const noexcept;
    /// The packet with next() and the full topic is on its way.
    void add(std::string_view topic);

private:
    struct Table;
    struct TableDeleter {
        void operator()(Table* table) const noexcept;
    };
    std::unique_ptr<Table, TableDeleter>
        table_;  // none until the first alias: most clients use none
    std::uint16_t maximum_ = 0;
};

}  // namespace spoke::mqtt
