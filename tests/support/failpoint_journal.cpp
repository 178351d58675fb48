// The journal of what is not durable yet, see failpoint_journal.hpp. Raw system calls only: nothing here is a step.
#include "tests/support/failpoint_journal.hpp"

#include <sys/stat.h>

#include <memory>
#include <vector>

#include "tests/support/failpoint_plan.hpp"

namespace volcrypt::failpoint {

namespace {

struct Content {  // what a write replaced
  std::string path;
  dev_t device;
  ino_t inode;
  off_t offset, file_size;
  std::vector<char> bytes;
};

struct Name {
  std::string directory, from, to, kept;
  bool removes;
};

struct Record {  // one of them
  std::unique_ptr<Content> content;
  std::unique_ptr<Name> name;
};

std::vector<Record>& journal() {
  static std::vector<Record>* list = new std::vector<Record>;  // never destroyed: programs write until the very end
  return *list;
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool is_there(const std::string& path) {
  struct stat facts {};
  return ::fstatat(AT_FDCWD, path.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string aside() {
  static long number = 0;
  const std::string directory = plan().directory + ".names";
  ::syscall(SYS_mkdirat, AT_FDCWD, directory.c_str(), 0700);
  return directory + "/" + std::to_string(++number);
}

std::string keep(const std::string& path) {
  if (!plan().forgets || !is_there(path)) return {};
  const std::string kept = aside();
  const long made = ::syscall(SYS_linkat, AT_FDCWD, path.c_str(), AT_FDCWD, kept.c_str(), 0);
  return made == 0 ? kept : std::string();
}

void move(const std::string& from, const std::string& to) {
  ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0U);
}

void put_back(const Content& before) {
  struct stat facts {};
  const long fd = raw_open(before.path.c_str(), O_WRONLY);
  if (fd < 0) return;  // its name went, and that was flushed
  if (::fstat(static_cast<int>(fd), &facts) == 0 && facts.st_ino == before.inode && facts.st_dev == before.device) {
    ::syscall(SYS_pwrite64, fd, before.bytes.data(), before.bytes.size(), before.offset);
    ::syscall(SYS_ftruncate, fd, before.file_size);
  }
  ::syscall(SYS_close, fd);
}

void put_back(const Name& name) {
  if (!name.removes) move(name.to, name.from.empty() ? aside() : name.from);  // whole directories, too
  if (!name.kept.empty()) move(name.kept, name.to);
}

}  // namespace

void remember_content(int fd, off_t offset, std::size_t length) {
  struct stat facts {};
  if (!plan().loses || ::fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return;
  auto before = std::make_unique<Content>(Content{path_of(fd), facts.st_dev, facts.st_ino, offset, facts.st_size, {}});
  const long readable = raw_open(before->path.c_str(), O_RDONLY);  // `fd` may be write-only
  if (readable < 0) return;
  before->bytes.resize(length);
  const ssize_t got = ::pread(static_cast<int>(readable), before->bytes.data(), length, offset);
  before->bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  ::syscall(SYS_close, readable);
  journal().push_back({std::move(before), nullptr});
}

NameChange NameChange::rename(const std::string& from, const std::string& to) {
  NameChange change;
  change.from_ = from;
  change.to_ = to;
  change.kept_ = keep(to);
  return change;
}

NameChange NameChange::made(const std::string& path) {
  NameChange change;
  change.to_ = path;
  return change;
}

NameChange NameChange::removed(const std::string& path) {
  NameChange change;
  change.to_ = path;
  change.kept_ = keep(path);
  change.removes_ = true;
  return change;
}

void NameChange::remember() {
  if (!plan().forgets) return;
  journal().push_back({nullptr, std::make_unique<Name>(Name{parent_of(to_), from_, to_, kept_, removes_})});
}

void flushed(int fd) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return;
  const std::string path = path_of(fd);
  std::erase_if(journal(), [&](const Record& record) {
    if (record.name) return S_ISDIR(facts.st_mode) && record.name->directory == path;
    return record.content->inode == facts.st_ino && record.content->device == facts.st_dev;
  });
}

void take_back() {
  for (auto record = journal().rbegin(); record != journal().rend(); ++record) {
    if (record->content) put_back(*record->content);
    if (record->name) put_back(*record->name);
  }
}

}  // namespace volcrypt::failpoint
