#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "protocol/base/escaped.hpp"
#include "protocol/options/option_table.hpp"
#include "protocol/options/units.hpp"

namespace spoke::options {
namespace {

/// An error may quote what stands in the file.
std::string one_line(std::string_view text) {
    bool is_plain = std::ranges::none_of(
        text, [](unsigned char character) { return character < 0x20 || character == 0x7F; });
    return is_plain ? std::string{text} : escaped(text);
}

/// The value of one key, or nothing if it is of a kind which no option has.
std::optional<Value> value_of(toml::node const& node) {
    if (auto const* flag = node.as_boolean()) return flag->get();
    if (auto const* integer = node.as_integer()) return integer->get();
    if (auto const* real = node.as_floating_point()) return real->get();
    if (auto const* text = node.as_string()) return text->get();
    auto const* list = node.as_array();
    if (list == nullptr) return std::nullopt;
    std::vector<std::string> texts;
    for (auto const& item : *list) {
        auto const* text = item.as_string();
        if (text == nullptr) return std::nullopt;
        texts.push_back(text->get());
    }
    return texts;
}

std::string_view last_part(std::string_view key) {
    return key.substr(key.rfind('.') + 1);
}

/// A right name in the wrong section is nearer than a wrong name in the right one.
std::size_t distance(std::string_view wrong, std::string_view known) {
    return std::min(edit_distance(wrong, known),
                    edit_distance(last_part(wrong), last_part(known)) + 1);
}

std::string read_all(std::string const& path) {
    auto fail = [&path] { throw OptionError{fmt::format("{}: {}", path, std::strerror(errno))}; };
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "rb"),
                                                         &std::fclose};
    if (!file) fail();
    std::string text;
    std::array<char, 4096> part;
    while (auto size = std::fread(part.data(), 1, part.size(), file.get()))
        text.append(part.data(), size);
    // A folder opens well and cannot be read.
    if (std::ferror(file.get()) != 0) fail();
    return text;
}

}  // namespace

/// Walks one parsed file, sets what it knows and remembers the first error by line: a table of the
/// library is sorted by key, people read from the top.
class OptionTable::Loader {
public:
    Loader(OptionTable& table, std::string_view file) : table_(table), file_(file) {}

    void walk(toml::table const& node, std::string const& prefix) {
        for (auto const& [name, child] : node) {
            auto key = prefix + std::string{name.str()};
            auto line = name.source().begin.line;
            if (auto* row = row_named(key)) {
                set(*row, child, line);
            } else if (auto* rows = tables_named(key)) {
                walk_tables(*rows, child, line);
            } else if (child.is_table() && is_section(key)) {
                walk(*child.as_table(), key + '.');
            } else {
                unknown(key, line);
            }
        }
    }

    void throw_first() const {
        if (first_)
            throw OptionError{
                fmt::format("{}:{}: {}", file_, first_->line, one_line(first_->text))};
    }

private:
    struct Problem {
        toml::source_index line;
        std::string text;
    };

    Row* row_named(std::string_view key) {
        auto found = std::ranges::find(table_.rows_, key, &Row::key);
        return found == table_.rows_.end() ? nullptr : &*found;
    }

    TableRow* tables_named(std::string_view key) {
        auto found = std::ranges::find(table_.tables_, key, &TableRow::name);
        return found == table_.tables_.end() ? nullptr : &*found;
    }

    [[nodiscard]] bool is_section(std::string const& key) const {
        auto inside = [start = key + '.'](Row const& row) { return row.key.starts_with(start); };
        return std::ranges::any_of(table_.rows_, inside);
    }

    void set(Row& row, toml::node const& node, toml::source_index line) {
        auto value = value_of(node);
        auto wrong = value ? row.set(*value) : fmt::format("must be {}", row.unit);
        if (!wrong.empty()) remember(line, fmt::format("{}: {}", context_ + row.key, wrong));
    }

    void walk_tables(TableRow& row, toml::node const& node, toml::source_index line) {
        auto const* list = node.as_array();
        if (list == nullptr || !std::ranges::all_of(*list, &toml::node::is_table)) {
            remember(line,
                     fmt::format("{0}: must be a list of tables, each headed [[{0}]]", row.name));
            return;
        }
        row.clear();
        for (auto const& item : *list) {
            OptionTable rows;
            row.append(rows);
            Loader inner{rows, file_};
            inner.context_ = row.name + '.';
            inner.walk(*item.as_table(), "");
            if (inner.first_) remember(inner.first_->line, inner.first_->text);
        }
    }

    void unknown(std::string const& key, toml::source_index line) {
        std::vector<std::string> known;
        for (auto const& row : table_.rows_) known.push_back(row.key);
        for (auto const& row : table_.tables_) known.push_back(row.name);
        for (auto const& section : table_.sections_) known.push_back(section.name);
        auto farness = [&key](std::string const& name) { return distance(key, name); };
        auto nearest = std::ranges::min_element(known, {}, farness);
        remember(line, fmt::format("{}{}: unknown key; the nearest known key is {}{}", context_,
                                   key, context_, *nearest));
    }

    void remember(toml::source_index line, std::string text) {
        if (!first_ || line < first_->line) first_ = Problem{line, std::move(text)};
    }

    OptionTable& table_;
    std::string_view file_;
    std::string context_;  // the [[name]] around, with its dot
    std::optional<Problem> first_;
};

void OptionTable::load_text(std::string_view toml, std::string_view name) {
    Loader loader{*this, name};
    try {
        loader.walk(toml::parse(toml, name), "");
    } catch (toml::parse_error const& error) {
        throw OptionError{fmt::format("{}:{}: not TOML: {}", name, error.source().begin.line,
                                      one_line(error.description()))};
    }
    loader.throw_first();
}

void OptionTable::load_file(std::string const& path) {
    load_text(read_all(path), path);
}

}  // namespace spoke::options
