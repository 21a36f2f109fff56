#pragma once

namespace rocksdb {
class Env;
}

namespace spoke::test {

/// What the stores of this program use while it lives, in place of the usual.
class UsedEnv {
public:
    /// It outlives this.
    explicit UsedEnv(rocksdb::Env& env);
    ~UsedEnv();
    UsedEnv(UsedEnv const&) = delete;
    UsedEnv& operator=(UsedEnv const&) = delete;

private:
    rocksdb::Env* before_;
};

}  // namespace spoke::test
