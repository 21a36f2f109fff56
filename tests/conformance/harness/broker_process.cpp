#include "tests/conformance/harness/broker_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace spoke::test {

namespace {

constexpr std::string_view kListening = "listening on ";
constexpr std::string_view kServing = "serving with ";  // logged behind the last listener

std::string replaced(std::string text, std::string_view word, std::string const& by) {
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + by.size())) {
        text.replace(at, word.size(), by);
    }
    return text;
}

std::string new_folder() {
    auto pattern = (std::filesystem::temp_directory_path() / "spoke-conformance-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error(fmt::format("mkdtemp: {}", std::strerror(errno)));
    }
    return pattern;
}

}  // namespace

BrokerProcess::BrokerProcess(std::string const& program, Setup const& setup)
    : folder_(new_folder()) {
    write_files(setup);
    start(program);
    await_ports();
    reader_ = std::thread{[this] {
        while (read_some()) {
        }
    }};
}

BrokerProcess::~BrokerProcess() {
    if (process_ > 0) {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    if (reader_.joinable()) reader_.join();
    if (output_ >= 0) ::close(output_);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void BrokerProcess::write_files(Setup const& setup) {
    for (auto const& [name, content] : setup.files) {
        std::ofstream{folder_ + "/" + name, std::ios::binary} << content;
    }
    // Two shards, so that clients meet across threads.
    auto text = fmt::format("performance.shards = 2\n{}\n[[listener]]\nport = 0\n{}\n", setup.more,
                            setup.listener);
    std::ofstream{folder_ + "/broker.toml"} << replaced(std::move(text), "{dir}", folder_);
}

void BrokerProcess::start(std::string const& program) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error(fmt::format("pipe: {}", std::strerror(errno)));
    }
    output_ = pipe[0];
    auto config = folder_ + "/broker.toml";
    auto const parent = ::getpid();
    process_ = ::fork();
    if (process_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) std::_Exit(1);  // it died before the line above
        ::dup2(pipe[1], STDOUT_FILENO);
        ::dup2(pipe[1], STDERR_FILENO);
        ::execl(program.c_str(), program.c_str(), "-c", config.c_str(), nullptr);
        std::_Exit(127);
    }
    ::close(pipe[1]);
}

void BrokerProcess::await_ports() {
    while (log_.find(kServing) == std::string::npos) {
        if (!read_some()) throw std::runtime_error("spoke-broker did not start:\n" + log_);
    }
    for (auto at = log_.find(kListening); at != std::string::npos;
         at = log_.find(kListening, at + 1)) {
        auto line = log_.substr(at, log_.find('\n', at) - at);
        auto colon = line.rfind(':');
        if (colon == std::string::npos) continue;  // a Unix socket
        ports_.push_back(static_cast<std::uint16_t>(std::stoul(line.substr(colon + 1))));
    }
}

bool BrokerProcess::read_some() {
    std::array<char, 4096> piece;
    auto size = ::read(output_, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) return true;
    if (size <= 0) return false;
    std::lock_guard lock{log_mutex_};
    log_.append(piece.data(), static_cast<std::size_t>(size));
    return true;
}

std::string BrokerProcess::log() const {
    std::lock_guard lock{log_mutex_};
    return log_;
}

}  // namespace spoke::test
