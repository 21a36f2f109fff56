#include "bridge/app/access_commands.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "bridge/access/api_key.hpp"
#include "bridge/access/json_web_token.hpp"
#include "bridge/app/security.hpp"
#include "protocol/options/units.hpp"

namespace spoke::bridge {
namespace {

std::chrono::seconds parse_ttl(std::string const& text) {
    auto us = options::parse_time_us(text);
    constexpr std::int64_t kSecond = 1'000'000;
    constexpr std::int64_t kMax = std::int64_t{10} * 365 * 86'400 * kSecond;
    if (!us || *us < kSecond || *us > kMax || *us % kSecond != 0) {
        throw std::runtime_error(
            fmt::format("--ttl {}: not a time such as \"1 h\" or \"90 d\", 1 s to 3650 d", text));
    }
    return std::chrono::seconds{*us / kSecond};
}

void check_scopes(std::vector<std::string> const& scopes) {
    Scopes trial;
    for (auto const& scope : scopes) {
        if (add_scope(scope, trial) && scope.find(' ') == std::string::npos) continue;
        throw std::runtime_error(
            fmt::format("there is no scope {:?}; there are {}", scope, scope_forms()));
    }
}

/// Runs what a command line asks for, with its errors as one line.
template <class Run>
int run_command(CLI::App& app, int argc, char const* const* argv, Run run) {
    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
        return 1;
    }
    try {
        run();
        return 0;
    } catch (std::exception const& error) {
        fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
        return 1;
    }
}

Sha256 random_bytes() {
    Sha256 out{};
    if (::getrandom(out.data(), out.size(), 0) != static_cast<ssize_t>(out.size())) {
        throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    return out;
}

void append_line(std::string const& path, std::string const& line) {
    // What stands there already must stay readable for the bridge.
    auto keys = std::string{};
    if (::access(path.c_str(), F_OK) == 0) keys = read_small_file(path);
    auto whole = (keys.empty() || keys.ends_with('\n') ? "" : "\n") + line + "\n";
    static_cast<void>(parse_api_keys(keys + whole));
    auto descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    auto written = descriptor < 0 ? -1 : ::write(descriptor, whole.data(), whole.size());
    auto is_synced = written == static_cast<ssize_t>(whole.size()) && ::fsync(descriptor) == 0;
    auto error = errno;
    if (descriptor >= 0) ::close(descriptor);
    if (!is_synced) throw std::system_error(error, std::generic_category(), path);
}

struct KeyWish {
    std::string name{};
    std::string file{};
    std::string ttl{};
    std::vector<std::string> scopes{};
};

void make_key(KeyWish const& wish) {
    check_scopes(wish.scopes);
    std::optional<WallTime> ends;
    if (!wish.ttl.empty()) ends = read_clocks().wall + parse_ttl(wish.ttl);
    auto key = make_api_key(random_bytes());
    auto line = api_key_line(wish.name, key, ends, wish.scopes);
    static_cast<void>(parse_api_keys(line));
    if (wish.file.empty()) {
        fmt::print("{}\n", key);
        fmt::print(stderr, "{}: the line for auth.keys_file is\n{}\n", "spoke-bridge key new",
                   line);
        return;
    }
    append_line(wish.file, line);
    fmt::print("{}\n", key);
}

}  // namespace

int token_command(int argc, char const* const* argv) {
    CLI::App app{"Makes a JSON Web Token (HS256) for development and prints it.",
                 "spoke-bridge token"};
    TokenWish wish;
    std::string secret_file;
    std::string ttl = "1 h";
    std::vector<std::string> scopes;
    app.footer(
        "  spoke-bridge token --secret secret --sub alice --scope devices:read --scope "
        "'command:*'\n  spoke-bridge token --secret secret --sub rider --scope command:unlock "
        "--dev b42 --ttl '10 min'");
    app.add_option("--secret", secret_file, "the file of auth.secret_file")
        ->type_name("FILE")
        ->required();
    app.add_option("--sub", wish.subject, "whom the token is for: \"by\" of his orders")
        ->type_name("NAME")
        ->required();
    app.add_option("--scope", scopes, "what it allows; may be given more than once")
        ->type_name("SCOPE")
        ->expected(1)
        ->take_all();
    app.add_option("--dev", wish.devices, "the only device it is for; may be given more than once")
        ->type_name("ID")
        ->expected(1)
        ->take_all();
    app.add_option("--ttl", ttl, "how long it is valid")->type_name("TIME")->capture_default_str();
    app.add_option("--aud", wish.audience, "\"aud\", if the bridge asks for one")
        ->type_name("TEXT");
    app.add_option("--iss", wish.issuer, "\"iss\", if the bridge asks for one")->type_name("TEXT");
    return run_command(app, argc, argv, [&] {
        check_scopes(scopes);
        wish.scope = fmt::format("{}", fmt::join(scopes, " "));
        wish.ttl = parse_ttl(ttl);
        auto text = read_small_file(secret_file);
        VerificationKey key = [&] {
            try {
                return parse_secret(text);
            } catch (std::invalid_argument const& error) {
                throw std::runtime_error(secret_file + ": " + error.what());
            }
        }();
        auto now = read_clocks().wall;
        auto token = make_token(wish, secret_of(text), now);
        auto check = verify_token(token, {&key, 1}, {wish.audience, wish.issuer, {}}, now);
        if (auto const* error = std::get_if<AccessError>(&check)) {
            throw std::runtime_error(std::string{describe(*error)});
        }
        fmt::print("{}\n", token);
    });
}

int key_command(int argc, char const* const* argv) {
    CLI::App app{"API keys.", "spoke-bridge key"};
    KeyWish wish;
    app.require_subcommand(1);
    auto* make = app.add_subcommand(
        "new", "Makes an API key and prints it. It is told this once: files hold its hash.");
    app.footer(
        "  spoke-bridge key new --name ops --scope devices:read --scope 'command:*' "
        "--ttl '90 d' --file api.keys");
    make->add_option("--name", wish.name, "its name: \"by\" of its orders")
        ->type_name("NAME")
        ->required();
    make->add_option("--scope", wish.scopes, "what it allows; may be given more than once")
        ->type_name("SCOPE")
        ->expected(1)
        ->take_all()
        ->required();
    make->add_option("--ttl", wish.ttl, "how long it is valid; for ever if this is left out")
        ->type_name("TIME");
    make->add_option("--file", wish.file,
                     "the file of auth.keys_file, to which its line is added; send the bridge "
                     "SIGHUP then. If left out, the line is printed on standard error")
        ->type_name("FILE");
    return run_command(app, argc, argv, [&] { make_key(wish); });
}

}  // namespace spoke::bridge
