#pragma once

namespace spoke::broker {

struct LogConfig;

/// Makes the default logger, which writes from a thread of its own: no shard waits for a terminal
/// or a disk. When more lines come than are written, the oldest waiting ones are dropped. Lives
/// until this object's end, which writes what waits.
/// Errors  std::exception, one line, if the file cannot be opened.
class Logging {
public:
    explicit Logging(LogConfig const& config);
    ~Logging();
    Logging(Logging const&) = delete;
    Logging& operator=(Logging const&) = delete;
};

}  // namespace spoke::broker
