// write_fuzz_seeds FOLDER...: what libFuzzer starts from, for the target that the folder is named
// after: one file per sample, or per row of the packet table for a target that takes packets.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fuzz/samples.hpp"
#include "tests/support/packet_table.hpp"

namespace {

bool write(std::filesystem::path const& path, spoke::Bytes bytes) {
    std::ofstream file{path, std::ios::binary};
    file.write(reinterpret_cast<char const*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return static_cast<bool>(file);
}

bool write_table(std::filesystem::path const& folder) {
    std::filesystem::create_directories(folder);
    auto number = 0;
    for (auto const& row : spoke::test::packet_table()) {
        auto bytes = row.bytes();
        if (!write(folder / ("row-" + std::to_string(number)), bytes)) return false;
        if (row.is_good()) {
            // Without the length, as check_decode_body() takes it.
            auto body = spoke::test::body_of(bytes);
            spoke::Buffer short_form{bytes[0]};
            short_form.insert(short_form.end(), body.begin(), body.end());
            if (!write(folder / ("body-" + std::to_string(number)), short_form)) return false;
        }
        ++number;
    }
    return true;
}

bool write_samples(std::filesystem::path const& folder, std::string const& check) {
    std::filesystem::create_directories(folder);
    auto number = 0;
    for (auto const& sample : spoke::fuzz::samples_for(check)) {
        if (!write(folder / ("sample-" + std::to_string(number++)), sample)) return false;
    }
    return true;
}

bool write_seeds(std::filesystem::path const& folder) {
    auto check = folder.filename().string().substr(std::string{"fuzz_"}.size());
    bool takes_packets = check.starts_with("decode_") || check == "framing";
    return takes_packets ? write_table(folder) : write_samples(folder, check);
}

}  // namespace

int main(int count, char** arguments) {
    for (auto at = 1; at < count; ++at) {
        if (write_seeds(arguments[at])) continue;
        std::fprintf(stderr, "cannot write to %s\n", arguments[at]);
        return 1;
    }
    return 0;
}
