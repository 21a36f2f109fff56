#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace spoke::test {

/// A folder of its own for one test, gone with all that is in it when the test ends.
class TempFolder {
public:
    TempFolder() {
        auto pattern = (std::filesystem::temp_directory_path() / "spoke-XXXXXX").string();
        if (!mkdtemp(pattern.data())) throw std::runtime_error{"mkdtemp failed"};
        path_ = pattern;
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempFolder(TempFolder const&) = delete;
    TempFolder& operator=(TempFolder const&) = delete;

    [[nodiscard]] std::filesystem::path const& path() const noexcept { return path_; }
    [[nodiscard]] std::string operator/(std::string_view name) const {
        return (path_ / name).string();
    }

    /// Writes in place; makes the file if it is not there. Returns its path.
    std::string write(std::string_view name, std::string_view text) const {
        auto path = *this / name;
        std::ofstream file{path, std::ios::binary | std::ios::trunc};
        file << text << std::flush;
        if (!file) throw std::runtime_error{"cannot write " + path};
        return path;
    }

    [[nodiscard]] std::string read(std::string_view name) const {
        std::ostringstream text;
        text << std::ifstream{*this / name, std::ios::binary}.rdbuf();
        return text.str();
    }

private:
    std::filesystem::path path_;
};

}  // namespace spoke::test
