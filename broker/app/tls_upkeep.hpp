#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "broker/auth/file_watch.hpp"
#include "broker/net/server.hpp"

namespace spoke::broker {

/// Keeps the TLS files of a running server fresh: reads them again when they change, and says once
/// a day how long the certificates are good for. Owns the threads for that; none without TLS.
class TlsUpkeep {
public:
    /// `server` outlives it.
    explicit TlsUpkeep(Server& server);

private:
    void say_daily(std::stop_token const& stop);

    Server& server_;
    std::unique_ptr<FileWatch> watch_;
    std::mutex mutex_;
    std::condition_variable_any ended_;
    std::jthread daily_;
};

}  // namespace spoke::broker
