#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/ports/cluster_bus.hpp"
#include "broker/core/ports/store.hpp"
#include "broker/core/retained.hpp"
#include "broker/core/settings.hpp"
#include "broker/net/settings.hpp"

namespace spoke::broker {

/// The running broker: listeners, shards with a thread each, and what they share.
class Server {
public:
    /// Binds all listeners. Throws std::runtime_error with one line that says which address and
    /// why.
    Server(NetSettings const& net, CoreSettings const& core,
           RetainedMessages::Limits const& retained, Store& store, ClusterBus& bus);
    ~Server();
    Server(Server const&) = delete;
    Server& operator=(Server const&) = delete;

    /// What a topic below $SYS says from the start on, as a retained message. Before start().
    void set_status(std::string_view topic, std::string_view text);
    /// Takes over what the store holds and starts the threads; from here on connections are served.
    /// Throws what Store::load() throws.
    void start();
    /// Stops accepting, tells MQTT 5 clients 0x8B, writes what they still take, at most for `time`;
    /// then returns with all threads ended, those of the store too.
    void stop(std::chrono::milliseconds time);

    /// Reads the TLS files of all listeners anew, those of each listener all or none, and logs what
    /// came of it. Any thread.
    void reload_tls();
    /// What reload_tls() reads.
    [[nodiscard]] std::vector<std::string> tls_files() const;
    /// Logs how many days the listeners' certificates are good for. Any thread.
    void log_certificates() const;

    /// "127.0.0.1:1883", in the order of the settings, with the port that was bound.
    [[nodiscard]] std::vector<std::string> addresses() const;
    [[nodiscard]] std::vector<std::uint16_t> ports() const;

private:
    class Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace spoke::broker
