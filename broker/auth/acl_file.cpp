#include "broker/auth/acl_file.hpp"

#include <fmt/format.h>

#include <utility>

#include "broker/auth/acl_pattern.hpp"
#include "broker/auth/text_lines.hpp"
#include "protocol/base/escaped.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::broker {
namespace {

std::optional<AclWord> access_word(std::string_view text) noexcept {
    if (text == "read") return AclWord::read;
    if (text == "write") return AclWord::write;
    if (text == "readwrite") return AclWord::readwrite;
    if (text == "deny") return AclWord::deny;
    return std::nullopt;
}

/// Takes the first word off `text`, and the blanks behind it.
std::string_view take_word(std::string_view& text) noexcept {
    auto word = text.substr(0, text.find_first_of(" \t"));
    text = without_leading_blanks(text.substr(word.size()));
    return word;
}

}  // namespace

class AclFile::Parser {
public:
    explicit Parser(std::size_t rules_max) : rules_max_(rules_max) {}

    /// nullopt, or what is wrong with the line.
    std::optional<std::string> take(std::string_view line) {
        auto rest = without_trailing_blanks(without_leading_blanks(line));
        auto keyword = take_word(rest);
        if (keyword == "user") return take_user(rest);
        if (keyword == "topic" || keyword == "pattern") return take_rule(keyword, rest);
        return fmt::format("unknown word '{}'; expected user, topic or pattern", escaped(keyword));
    }

    AclFile finish() && {
        AclFile file;
        file.rules_ = rules_;
        file.patterns_ = std::move(patterns_);
        file.common_ = std::make_shared<AclRules const>(std::move(common_));
        file.anonymous_ = user_of(std::move(anonymous_), file.common_);
        file.unlisted_ = user_of({}, file.common_);
        for (auto& [name, rules] : users_)
            file.users_.emplace(name, user_of(std::move(rules), file.common_));
        return file;
    }

private:
    static User user_of(AclRules rules, std::shared_ptr<AclRules const> const& common) {
        auto shared = std::make_shared<AclRules const>(std::move(rules));
        return {shared, std::make_shared<AclAccess const>(shared, common, AclRules{})};
    }

    std::optional<std::string> take_user(std::string_view name) {
        if (name.empty()) return "no name behind 'user'";
        if (!mqtt::is_valid_utf8(name)) return "the user name is not UTF-8";
        current_ = &users_[std::string{name}];
        return std::nullopt;
    }

    std::optional<std::string> take_rule(std::string_view keyword, std::string_view rest) {
        auto filter = rest;
        auto word = take_word(filter);
        auto access = access_word(word);
        if (word.empty() || (access && filter.empty()))
            return fmt::format("no filter behind '{}'", word.empty() ? keyword : word);
        if (!access && !filter.empty())
            return fmt::format(
                "unknown access '{}'; expected read, write, readwrite or deny, which must stand "
                "before a filter with blanks",
                escaped(word));
        return add(keyword, access.value_or(AclWord::readwrite), access ? filter : word);
    }

    std::optional<std::string> add(std::string_view keyword, AclWord word,
                                   std::string_view filter) {
        if (!mqtt::is_valid_topic_filter(filter) || !mqtt::is_valid_utf8(filter))
            return fmt::format("'{}' is not a valid topic filter", escaped(filter));
        if (++rules_ > rules_max_) return fmt::format("more than {} rules", rules_max_);
        if (keyword == "topic") {
            current_->add(word, filter);
        } else if (has_names(filter)) {
            patterns_.push_back({word, std::string{filter}});
        } else {
            common_.add(word, filter);
        }
        return std::nullopt;
    }

    std::size_t rules_max_;
    std::size_t rules_ = 0;
    AclRules anonymous_;
    AclRules common_;
    std::map<std::string, AclRules> users_;
    std::vector<Pattern> patterns_;
    AclRules* current_ = &anonymous_;
};

FileResult<AclFile> AclFile::parse(std::string_view text, std::string_view name,
                                   AclLimits const& limits) {
    if (text.size() > limits.bytes_max)
        return FileError{std::string{name}, 0,
                         fmt::format("is larger than {} bytes", limits.bytes_max)};
    Parser parser{limits.rules_max};
    TextLines lines{text};
    for (auto line = lines.next(); line; line = lines.next()) {
        if (auto wrong = parser.take(*line))
            return FileError{std::string{name}, lines.number(), std::move(*wrong)};
    }
    return std::move(parser).finish();
}

std::shared_ptr<AclAccess const> AclFile::access_of(
    std::string_view client_id, std::optional<std::string_view> user_name) const {
    auto const* user = user_name ? &unlisted_ : &anonymous_;
    if (user_name) {
        if (auto found = users_.find(*user_name); found != users_.end()) user = &found->second;
    }
    AclRules own;
    for (auto const& pattern : patterns_)
        fill_in(pattern.word, pattern.filter, {client_id, user_name}, own);
    if (own.is_empty()) return user->access;
    return std::make_shared<AclAccess const>(user->rules, common_, std::move(own));
}

}  // namespace spoke::broker
