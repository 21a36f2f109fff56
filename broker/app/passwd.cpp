#include "broker/app/passwd.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "broker/app/password_prompt.hpp"
#include "broker/app/run_command.hpp"
#include "broker/auth/file_update.hpp"
#include "broker/auth/password_file.hpp"
#include "broker/auth/random_bytes.hpp"
#include "broker/auth/scram_file.hpp"
#include "broker/auth/secret.hpp"
#include "broker/auth/user_edit.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {
namespace {

constexpr auto kName = "spoke-broker passwd";
constexpr std::uint32_t kIterationsMin = kScramIterationsMin;
constexpr std::uint32_t kIterationsMax = 5'000'000;  // what the files' readers accept
// A check is to cost the broker some milliseconds, and a small device no more than a second.
constexpr std::uint32_t kPbkdf2Iterations = 20'000;
constexpr std::uint32_t kScramIterations = 10'000;
constexpr std::size_t kMosquittoSaltSize = 12;
constexpr std::size_t kSaltSize = 16;
constexpr std::size_t kSha512Size = 64;
constexpr std::size_t kArgon2idHashSize = 32;
constexpr std::uint32_t kArgon2idMemoryKib = 19'456;
constexpr std::uint32_t kArgon2idPasses = 2;
constexpr std::uint32_t kArgon2idLanes = 1;

struct Wish {
    std::string user{};
    std::string scram_file{};
    std::string password_file{};
    std::optional<std::uint32_t> iterations{};
    bool is_deletion = false;
    bool argon2id = false;
    bool from_stdin = false;
};

void describe(CLI::App& app, Wish& wish) {
    app.footer(
        "The password is asked for twice at the terminal. It is read from standard input, one "
        "line,\nif that is no terminal or --password-stdin is given. The broker takes changed "
        "files by itself.\n\n"
        "  spoke-broker passwd --scram scram.users bob\n"
        "  spoke-broker passwd --password-file users --scram scram.users bob <secret.txt\n"
        "  spoke-broker passwd --password-file users -D bob");
    app.add_option("user", wish.user, "name of the user")->type_name("USER")->required();
    app.add_option("--scram", wish.scram_file, "file of SCRAM-SHA-256 verifiers to change")
        ->type_name("FILE");
    app.add_option("--password-file", wish.password_file,
                   "password file in mosquitto's format to change")
        ->type_name("FILE");
    app.add_flag("-D,--delete", wish.is_deletion, "delete the user");
    app.add_option("--iterations", wish.iterations,
                   fmt::format("rounds of PBKDF2, {} to {}; more make guessing slower, and each "
                               "login (password file: {}, SCRAM: {})",
                               kIterationsMin, kIterationsMax, kPbkdf2Iterations, kScramIterations))
        ->type_name("N")
        ->check(CLI::Range(kIterationsMin, kIterationsMax));
    app.add_flag("--argon2id", wish.argon2id,
                 "argon2id instead of PBKDF2 in the password file; mosquitto cannot read it");
    app.add_flag("--password-stdin", wish.from_stdin, "read the password from standard input");
}

void check(Wish const& wish) {
    if (wish.scram_file.empty() && wish.password_file.empty())
        throw std::runtime_error{"name a file with --scram or --password-file"};
    if (wish.argon2id && wish.password_file.empty())
        throw std::runtime_error{"--argon2id is for a --password-file"};
    if (wish.argon2id && wish.iterations && wish.scram_file.empty())
        throw std::runtime_error{"--iterations means nothing to argon2id"};
    if (!can_name_a_line(wish.user))
        throw std::runtime_error{fmt::format(
            "'{}' cannot be a user name: it must not be empty, hold ':' or control characters, or "
            "begin with '#' or a blank",
            escaped(wish.user))};
}

/// SCRAM prepares names and passwords; others take them as they are.
void check_for_scram(Wish const& wish, Secret const& password) {
    constexpr auto kRule =
        "only ASCII and the letters of Latin, Greek, Cyrillic, Japanese, Chinese and Korean";
    if (!is_prepared(wish.user))
        throw std::runtime_error{fmt::format("SCRAM cannot take this user name: {}", kRule)};
    if (!is_prepared(password.view()))
        throw std::runtime_error{fmt::format("SCRAM cannot take this password: {}", kRule)};
}

/// One of the files that are to be changed.
struct Target {
    std::string path;
    std::size_t bytes_max;
    EditFile edit;
};

/// Adds the checks around a change that every kind of file needs: the file was right before and is
/// right afterwards. `parse` reads it whole.
template <class Parse>
EditFile checked_edit(Wish const& wish, std::string const& path, std::string value, Parse parse) {
    return [&wish, path, value = std::move(value),
            parse](std::optional<std::string_view> text) -> FileResult<std::string> {
        if (!text && wish.is_deletion) return FileError{path, 0, "is not there"};
        if (auto old = parse(text.value_or("")); !old) return old.error();
        auto changed = wish.is_deletion ? without_user(*text, wish.user)
                                        : with_user(text.value_or(""), wish.user, value);
        if (!changed)
            return FileError{path, 0, fmt::format("has no user '{}'", escaped(wish.user))};
        if (auto fresh = parse(*changed); !fresh) return fresh.error();
        return {boost::system::in_place_value, std::move(*changed)};
    };
}

std::string password_value(Wish const& wish, Secret const& password) {
    if (wish.argon2id) {
        Argon2idHash form{kArgon2idMemoryKib, kArgon2idPasses, kArgon2idLanes,
                          random_bytes(kSaltSize), std::string(kArgon2idHashSize, '\0')};
        return to_text(hash_like(std::move(form), password.view()));
    }
    Pbkdf2Hash form{wish.iterations.value_or(kPbkdf2Iterations), random_bytes(kMosquittoSaltSize),
                    std::string(kSha512Size, '\0')};
    return to_text(hash_like(std::move(form), password.view()));
}

std::string scram_value(Wish const& wish, Secret const& password) {
    check_for_scram(wish, password);
    return to_text(make_scram_verifier(password.view(), random_bytes(kSaltSize),
                                       wish.iterations.value_or(kScramIterations)));
}

std::vector<Target> targets_of(Wish const& wish, Secret const& password) {
    std::vector<Target> targets;
    if (!wish.password_file.empty()) {
        auto const& path = wish.password_file;
        auto parse = [path](std::string_view text) { return PasswordFile::parse(text, path); };
        auto value = wish.is_deletion ? std::string{} : password_value(wish, password);
        targets.push_back(
            {path, PasswordLimits{}.bytes_max, checked_edit(wish, path, std::move(value), parse)});
    }
    if (!wish.scram_file.empty()) {
        auto const& path = wish.scram_file;
        // The secret matters only for users that are not there.
        auto parse = [path, secret = random_bytes(kSaltSize)](std::string_view text) {
            return ScramFile::parse(text, path, secret);
        };
        auto value = wish.is_deletion ? std::string{} : scram_value(wish, password);
        targets.push_back(
            {path, ScramLimits{}.bytes_max, checked_edit(wish, path, std::move(value), parse)});
    }
    return targets;
}

Secret password_of(Wish const& wish) {
    if (wish.is_deletion) return Secret{};
    return is_terminal() && !wish.from_stdin ? ask_for_password() : read_password_line();
}

void fulfil(Wish const& wish) {
    check(wish);
    auto password = password_of(wish);
    auto targets = targets_of(wish, password);
    // All of them first without writing, so that not one is changed and another is not.
    for (auto const& target : targets) {
        auto tried = try_edit(target.path, target.bytes_max, target.edit);
        if (!tried) throw std::runtime_error{tried.error().text()};
    }
    for (auto const& target : targets) {
        if (auto error = update_file(target.path, target.bytes_max, target.edit))
            throw std::runtime_error{error->text()};
    }
}

}  // namespace

int passwd(int argc, char const* const* argv) {
    CLI::App app{"Adds a user to files of the broker, changes a password, deletes a user.", kName};
    Wish wish;
    describe(app, wish);
    return run_command(app, argc, argv, [&] {
        fulfil(wish);
        return 0;
    });
}

}  // namespace spoke::broker
