#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "broker/auth/file_error.hpp"

namespace spoke::broker {

/// Makes the new text of a file of its old one. In: nullopt if the file is not there.
using EditFile = std::function<FileResult<std::string>(std::optional<std::string_view> text)>;

/// What `edit` makes of the file, which stays as it is.
[[nodiscard]] FileResult<std::string> try_edit(std::string const& path, std::size_t bytes_max,
                                               EditFile const& edit);

/// Exchanges the file for what `edit` makes of it: whoever reads it gets the old text or the new
/// one, whole, also after a loss of power. Updates of one folder's files wait for each other. A
/// new file is for its owner alone (0600); an existing one keeps mode and, as far as the system
/// lets us, owner; of a symlink the target is exchanged.
/// Out     nullopt, or why the file is as it was.
[[nodiscard]] std::optional<FileError> update_file(std::string const& path, std::size_t bytes_max,
                                                   EditFile const& edit);

}  // namespace spoke::broker
