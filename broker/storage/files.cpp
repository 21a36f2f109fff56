#include "broker/storage/files.hpp"

#include <rocksdb/env.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace spoke::broker {
namespace {

using rocksdb::Status;

std::string parent_of(std::string const& path) {
    auto const slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Status read_file(rocksdb::Env& env, std::string const& path, std::string& bytes) {
    return rocksdb::ReadFileToString(&env, path, &bytes);
}

Status write_file(rocksdb::Env& env, std::string const& path, std::string_view bytes) {
    auto const fresh = path + ".new";
    std::unique_ptr<rocksdb::WritableFile> file;
    auto status = env.NewWritableFile(fresh, &file, rocksdb::EnvOptions{});
    if (status.ok()) status = file->Append({bytes.data(), bytes.size()});
    if (status.ok()) status = file->Sync();
    if (status.ok()) status = file->Close();
    if (status.ok()) status = env.RenameFile(fresh, path);
    if (status.ok()) return sync_directory(env, parent_of(path));
    env.DeleteFile(fresh).PermitUncheckedError();
    return status;
}

Status sync_directory(rocksdb::Env& env, std::string const& path) {
    std::unique_ptr<rocksdb::Directory> directory;
    auto status = env.NewDirectory(path, &directory);
    return status.ok() ? directory->Fsync() : status;
}

Status list_directory(rocksdb::Env& env, std::string const& path, std::vector<std::string>& names) {
    names.clear();
    auto status = env.GetChildren(path, &names);
    if (!status.ok()) return status;
    std::erase_if(names, [](std::string const& name) { return name == "." || name == ".."; });
    std::sort(names.begin(), names.end());
    return status;
}

Status remove_tree(rocksdb::Env& env, std::string const& path) {
    if (!exists(env, path)) return Status::OK();
    bool is_directory = false;
    auto status = env.IsDirectory(path, &is_directory);
    if (!status.ok()) return status;
    if (!is_directory) return env.DeleteFile(path);
    std::vector<std::string> names;
    status = list_directory(env, path, names);
    for (auto name = names.begin(); status.ok() && name != names.end(); ++name)
        status = remove_tree(env, path + "/" + *name);
    return status.ok() ? env.DeleteDir(path) : status;
}

bool exists(rocksdb::Env& env, std::string const& path) {
    return env.FileExists(path).ok();
}

Status look_for(rocksdb::Env& env, std::string const& path, bool& is_there) {
    auto const status = env.FileExists(path);
    is_there = status.ok();
    return status.IsNotFound() || status.IsPathNotFound() ? Status::OK() : status;
}

std::uint64_t file_number(std::string_view name, std::string_view suffix) {
    if (!name.ends_with(suffix)) return 0;
    name.remove_suffix(suffix.size());
    std::uint64_t number = 0;
    auto const [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    return error == std::errc{} && end == name.data() + name.size() ? number : 0;
}

}  // namespace spoke::broker
