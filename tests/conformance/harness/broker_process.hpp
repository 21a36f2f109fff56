#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace spoke::test {

/// How a broker is set up beyond its defaults. Lines of TOML, as `spoke-broker --print-config`
/// explains them; `{dir}` in them stands for the folder where `files` are written.
struct Setup {
    std::string listener{};  // within [[listener]]
    std::string more{};      // before it, with dotted keys: "limits.packet_size_max = 200"
    std::vector<std::pair<std::string, std::string>> files{};  // name, content
    auto operator<=>(Setup const&) const = default;
};

/// A spoke-broker of its own process on a free port of the loopback address. It ends with this
/// object, and with this process, however that ends.
class BrokerProcess {
public:
    /// In      `program`: path of the binary.
    /// Out     the broker listens.
    /// Errors  std::runtime_error with its log if it does not start.
    BrokerProcess(std::string const& program, Setup const& setup);
    ~BrokerProcess();
    BrokerProcess(BrokerProcess const&) = delete;
    BrokerProcess& operator=(BrokerProcess const&) = delete;

    /// Of its listeners, in the order of the configuration.
    [[nodiscard]] std::vector<std::uint16_t> const& ports() const noexcept { return ports_; }
    [[nodiscard]] std::string const& folder() const noexcept { return folder_; }
    /// What it has logged so far.
    [[nodiscard]] std::string log() const;

private:
    void write_files(Setup const& setup);
    void start(std::string const& program);
    void await_ports();
    bool read_some();

    std::string folder_;
    pid_t process_ = -1;
    int output_ = -1;
    std::vector<std::uint16_t> ports_;
    std::string log_;
    mutable std::mutex log_mutex_;
    std::thread reader_;
};

}  // namespace spoke::test
