#pragma once

#include <rapidcheck.h>
#include <iosfwd>
#include <string_view>
#include <vector>

namespace spoke::model {

enum class Kind {
    connect,
    subscribe,
    unsubscribe,
    publish,
    publish_several,  // in one write
    answer,           // the next acknowledgement of a delivery, or one out of turn
    release,          // PUBREL for a publish of the client's own
    odd_answer,       // an acknowledgement nobody waits for, or of the wrong kind
    ping,
    disconnect,
    cut,
    pass_time,
    restart,
    hold_store,  // or have it go on
};

[[nodiscard]] std::string_view name_of(Kind kind);

/// What a client does, in small numbers: which topic, which QoS and so on is read from them when it
/// is done, in whatever state the clients are then. So each part of a sequence is a sequence too,
/// and 0 is always the simplest.
struct Action {
    Kind kind = Kind::ping;
    int link = 0;
    int a = 0;
    int b = 0;
    int c = 0;
    int d = 0;
};

/// The broker's settings and number of shards, as an index into a table.
struct Sequence {
    int setting = 0;
    std::vector<Action> actions{};
};

[[nodiscard]] rc::Gen<Sequence> any_sequence();

std::ostream& operator<<(std::ostream& out, Sequence const& sequence);

}  // namespace spoke::model
