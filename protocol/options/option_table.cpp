#include "protocol/options/option_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "protocol/base/assert.hpp"
#include "protocol/options/units.hpp"

namespace spoke::options {
namespace {

constexpr std::size_t kLineWidth = 98;
constexpr auto kInt64Max = std::numeric_limits<std::int64_t>::max();

std::string texts_as_toml(std::vector<std::string> const& texts) {
    std::vector<std::string> quoted;
    for (auto const& text : texts) quoted.push_back(toml_quoted(text));
    return fmt::format("[{}]", fmt::join(quoted, ", "));
}

/// Appends `text` as comment lines, broken between words.
void comment(std::string& out, std::string_view prefix, std::string_view text) {
    while (!text.empty()) {
        auto room = kLineWidth - prefix.size() - 2;
        auto end = text.size();
        if (end > room) end = std::min(text.rfind(' ', room), end);
        fmt::format_to(std::back_inserter(out), "{}# {}\n", prefix, text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

std::string_view last_part(std::string_view key) {
    return key.substr(key.rfind('.') + 1);
}

std::string_view section_of(std::string_view key) {
    auto dot = key.rfind('.');
    return dot == std::string_view::npos ? std::string_view{} : key.substr(0, dot);
}

}  // namespace

OptionTable& OptionTable::section(std::string_view name, std::string_view meaning) {
    sections_.push_back({std::string{name}, std::string{meaning}});
    prefix_ = std::string{name} + '.';
    return *this;
}

OptionTable& OptionTable::add_row(std::string_view key, Row row, std::string_view meaning) {
    row.key = prefix_ + std::string{key};
    row.meaning = meaning;
    row.default_value = row.print();
    MQ_ASSERT(std::ranges::find(rows_, row.key, &Row::key) == rows_.end());
    rows_.push_back(std::move(row));
    return *this;
}

OptionTable& OptionTable::text(std::string_view key, std::string& target,
                               std::string_view meaning) {
    Row row;
    row.unit = "text";
    row.print = [&target] { return toml_quoted(target); };
    row.set = [&target](Value const& value) -> std::string {
        auto const* text = std::get_if<std::string>(&value);
        if (text == nullptr) return "must be a text in quotes";
        target = *text;
        return {};
    };
    return add_row(key, std::move(row), meaning);
}

OptionTable& OptionTable::texts(std::string_view key, std::vector<std::string>& target,
                                std::string_view meaning) {
    Row row;
    row.unit = "list of texts";
    row.print = [&target] { return texts_as_toml(target); };
    row.set = [&target](Value const& value) -> std::string {
        auto const* list = std::get_if<std::vector<std::string>>(&value);
        if (list == nullptr) return "must be a list of texts: [\"a\", \"b\"]";
        target = *list;
        return {};
    };
    return add_row(key, std::move(row), meaning);
}

OptionTable& OptionTable::flag(std::string_view key, bool& target, std::string_view meaning) {
    Row row;
    row.unit = "true or false";
    row.print = [&target] { return std::string{target ? "true" : "false"}; };
    row.set = [&target](Value const& value) -> std::string {
        auto const* flag = std::get_if<bool>(&value);
        if (flag == nullptr) return "must be true or false";
        target = *flag;
        return {};
    };
    return add_row(key, std::move(row), meaning);
}

OptionTable& OptionTable::add_choice(std::string_view key, std::vector<std::string_view> names,
                                     std::function<std::size_t()> index_now,
                                     std::function<void(std::size_t)> set_index,
                                     std::string_view meaning) {
    Row row;
    row.unit = "one of";
    std::vector<std::string> quoted;
    for (auto name : names) quoted.push_back(toml_quoted(name));
    row.range = fmt::format("{}", fmt::join(quoted, ", "));
    row.print = [names, index_now] { return toml_quoted(names[index_now()]); };
    row.set = [names, set_index, range = row.range](Value const& value) -> std::string {
        auto const* word = std::get_if<std::string>(&value);
        auto found = word == nullptr ? names.end() : std::ranges::find(names, *word);
        if (found == names.end()) return "must be one of " + range;
        set_index(static_cast<std::size_t>(found - names.begin()));
        return {};
    };
    return add_row(key, std::move(row), meaning);
}

OptionTable& OptionTable::may_inherit(bool& own) {
    constexpr std::string_view kWord = "inherit";
    Row& row = rows_.back();
    row.range = row.range.empty() ? fmt::format("or {}", toml_quoted(kWord))
                                  : fmt::format("{} or {}", row.range, toml_quoted(kWord));
    row.print = [&own, print = std::move(row.print), kWord] {
        return own ? print() : toml_quoted(kWord);
    };
    row.set = [&own, set = std::move(row.set), kWord](Value const& value) -> std::string {
        auto const* word = std::get_if<std::string>(&value);
        own = word == nullptr || *word != kWord;
        auto wrong = own ? set(value) : std::string{};
        return wrong.empty() ? wrong : fmt::format("{}, or {}", wrong, toml_quoted(kWord));
    };
    row.default_value = row.print();
    return *this;
}

/// How numbers of one scale are written and read.
struct OptionTable::Notation {
    Scale scale;
    Range<std::int64_t> range;
    std::int64_t step;

    [[nodiscard]] std::string plain(std::int64_t n) const {
        switch (scale) {
            case Scale::count:
                return std::to_string(n);
            case Scale::bytes:
                return bytes_text(n);
            case Scale::time:
                return time_text(n);
        }
        MQ_ASSERT(false);
    }

    [[nodiscard]] std::string toml(std::int64_t n) const {
        if (!range.word.empty() && n == range.word_value) return toml_quoted(range.word);
        return scale == Scale::count ? plain(n) : toml_quoted(plain(n));
    }

    [[nodiscard]] std::string range_text() const {
        auto text = range.max == kInt64Max
                        ? fmt::format("{} or more", plain(range.min))
                        : fmt::format("{} .. {}", plain(range.min), plain(range.max));
        return range.word.empty() ? text : fmt::format("{} or \"{}\"", text, range.word);
    }

    [[nodiscard]] std::string type_error() const {
        switch (scale) {
            case Scale::count:
                return "must be an integer, " + range_text();
            case Scale::bytes:
                return "must be a number of bytes such as \"64 KiB\" or 65536";
            case Scale::time:
                return "must be a time with its unit such as \"10 s\" or \"500 ms\"";
        }
        MQ_ASSERT(false);
    }

    [[nodiscard]] std::optional<std::int64_t> parse(Value const& value) const {
        if (auto const* number = std::get_if<std::int64_t>(&value)) {
            if (scale == Scale::time) return std::nullopt;
            return *number;
        }
        auto const* text = std::get_if<std::string>(&value);
        if (text == nullptr) return std::nullopt;
        if (!range.word.empty() && *text == range.word) return range.word_value;
        if (scale == Scale::bytes) return parse_bytes(*text);
        if (scale == Scale::time) return parse_time_us(*text);
        return std::nullopt;
    }

    /// What is wrong with a number of the right type, or nothing.
    [[nodiscard]] std::string check(std::int64_t n) const {
        if (!range.word.empty() && n == range.word_value) return {};
        if (n < range.min || n > range.max)
            return fmt::format("{} is out of range, {}", plain(n), range_text());
        if (n % step != 0)
            return fmt::format("{} is too fine, the smallest step is {}", plain(n), plain(step));
        return {};
    }
};

OptionTable& OptionTable::add_number(std::string_view key, Binding binding,
                                     Range<std::int64_t> range, Unit unit,
                                     std::string_view meaning) {
    Notation notation{unit.scale, range, binding.step};
    Row row;
    row.unit = unit.name;
    row.range = notation.range_text();
    row.print = [notation, read = std::move(binding.read)] { return notation.toml(read()); };
    row.set = [notation, write = std::move(binding.write)](Value const& value) -> std::string {
        auto number = notation.parse(value);
        if (!number) return notation.type_error();
        auto wrong = notation.check(*number);
        if (wrong.empty()) write(*number);
        return wrong;
    };
    return add_row(key, std::move(row), meaning);
}

OptionTable& OptionTable::add_tables(std::string_view name, TableRow row,
                                     std::string_view meaning) {
    row.name = name;
    row.meaning = meaning;
    tables_.push_back(std::move(row));
    return *this;
}

std::string OptionTable::print() const {
    std::string out;
    print_rows(out, "", this, "");
    print_tables(out);
    for (auto const& section : sections_) {
        out += '\n';
        comment(out, "", section.meaning);
        out += fmt::format("[{}]\n", section.name);
        print_rows(out, section.name, this, "");
    }
    if (out.starts_with('\n')) out.erase(0, 1);
    return out;
}

void OptionTable::print_rows(std::string& out, std::string_view section,
                             OptionTable const* documented, std::string_view prefix) const {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        auto const& row = rows_[i];
        if (section_of(row.key) != section) continue;
        if (documented != nullptr) {
            auto const& shown = documented->rows_[i];
            auto range = shown.range.empty() ? "" : ": " + shown.range;
            out += '\n';
            comment(out, prefix, shown.meaning);
            comment(out, prefix,
                    fmt::format("{}{}; default {}", shown.unit, range, shown.default_value));
        }
        out += fmt::format("{}{} = {}\n", prefix, last_part(row.key), row.print());
    }
}

void OptionTable::print_tables(std::string& out) const {
    for (auto const& table : tables_) {
        out += '\n';
        comment(out, "", table.meaning);
        table.with_sample([&](OptionTable const& sample) {
            if (table.size() == 0) {
                // No item to show: the rows are told as an example, commented out.
                out += fmt::format("# [[{}]]\n", table.name);
                sample.print_rows(out, "", &sample, "# ");
            }
            for (std::size_t i = 0; i < table.size(); ++i) {
                OptionTable item;
                table.bind_at(i, item);
                if (i > 0) out += '\n';
                out += fmt::format("[[{}]]\n", table.name);
                item.print_rows(out, "", i == 0 ? &sample : nullptr, "");
            }
        });
    }
}

}  // namespace spoke::options
