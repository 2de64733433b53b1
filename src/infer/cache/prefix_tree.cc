#include "infer/cache/prefix_tree.h"

#include <algorithm>

#include "base/error.h"

namespace fathom {
namespace {

int64_t CommonTokens(std::span<const int32_t> a, std::span<const int32_t> b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

}  // namespace

bool PrefixTree::Node::Less::operator()(std::span<const int32_t> a,
                                        std::span<const int32_t> b) const {
  return std::ranges::lexicographical_compare(a, b);
}

PrefixTree::Node* PrefixTree::HoldRoot(const std::string& salt) {
  std::unique_ptr<Root>& root = roots_[salt];
  if (root == nullptr) {
    root = std::make_unique<Root>();
    root->salt = salt;
  }
  ++root->holders;
  return root.get();
}

const std::string& PrefixTree::SaltOf(const Node* root) {
  FATHOM_CHECK(root->parent == nullptr);
  return static_cast<const Root*>(root)->salt;
}

void PrefixTree::DropRoot(Node* root) {
  FATHOM_CHECK(root->parent == nullptr && static_cast<Root*>(root)->holders > 0);
  --static_cast<Root*>(root)->holders;
  DropRootIfUnused(root);
}

void PrefixTree::DropRootIfUnused(Node* root) {
  if (root->children.empty() && static_cast<Root*>(root)->holders == 0) {
    roots_.erase(roots_.find(SaltOf(root)));
  }
}

PrefixTree::Node* PrefixTree::Find(Node* parent, std::span<const int32_t> tokens) const {
  const auto found = parent->children.find(tokens);
  return found == parent->children.end() ? nullptr : found->second.get();
}

std::pair<PrefixTree::Node*, int64_t> PrefixTree::FindLongest(
    Node* parent, std::span<const int32_t> tokens) const {
  std::pair<Node*, int64_t> best{nullptr, 0};
  const auto try_one = [&](const auto& child) {
    const int64_t common = CommonTokens(child->second->tokens, tokens);
    if (common > best.second) best = {child->second.get(), common};
  };
  const auto after = parent->children.lower_bound(tokens);
  if (after != parent->children.end()) try_one(after);
  if (after != parent->children.begin()) try_one(std::prev(after));
  return best;
}

PrefixTree::Node* PrefixTree::Insert(Node* parent, std::span<const int32_t> tokens, int32_t page) {
  FATHOM_CHECK(!tokens.empty() && static_cast<int64_t>(tokens.size()) <= page_tokens_);
  FATHOM_CHECK(parent->parent == nullptr ||
               static_cast<int64_t>(parent->tokens.size()) == page_tokens_);
  auto node = std::make_unique<Node>();
  node->parent = parent;
  node->page = page;
  node->tokens.assign(tokens.begin(), tokens.end());
  node->used = ++clock_;
  Node* const inserted = node.get();
  const bool parent_was = parent->parent != nullptr && IsEvictable(parent);
  const bool is_new = parent->children.emplace(inserted->tokens, std::move(node)).second;
  FATHOM_CHECK(is_new);
  ++nodes_;
  pool_.Share(page);
  if (parent->parent != nullptr) Update(parent, parent_was);
  return inserted;
}

void PrefixTree::Remove(Node* leaf) {
  FATHOM_CHECK(leaf->children.empty());
  Node* const parent = leaf->parent;
  const bool was = IsEvictable(leaf);
  if (was) {
    --evictable_;
    leaves_.erase({leaf->used, leaf});
  }
  pool_.Release(leaf->page);
  --nodes_;
  parent->children.erase(parent->children.find(leaf->tokens));
  if (parent->parent != nullptr) {
    Update(parent, IsEvictable(parent));
  } else {
    DropRootIfUnused(parent);
  }
}

void PrefixTree::Update(Node* node, bool was_evictable) {
  const bool is = IsEvictable(node);
  evictable_ += (is ? 1 : 0) - (was_evictable ? 1 : 0);
  if (is && node->children.empty()) {
    leaves_.emplace(node->used, node);
  } else {
    leaves_.erase({node->used, node});
  }
}

void PrefixTree::Pin(Node* node) {
  const bool was = IsEvictable(node);
  pool_.Share(node->page);
  Update(node, was);
  node->used = ++clock_;
}

void PrefixTree::Unpin(Node* node) {
  const bool was = IsEvictable(node);
  node->used = ++clock_;
  pool_.Release(node->page);
  Update(node, was);
}

bool PrefixTree::EvictOne() {
  if (leaves_.empty()) return false;
  Remove(leaves_.begin()->second);
  return true;
}

void PrefixTree::CheckNode(const Node& node, int64_t* nodes, int64_t* evictable,
                           int64_t* leaves) const {
  for (const auto& [tokens, child] : node.children) {
    FATHOM_CHECK(child->parent == &node && tokens.data() == child->tokens.data());
    FATHOM_CHECK(pool_.references(child->page) > 0);
    FATHOM_CHECK(child->children.empty() ||
                 static_cast<int64_t>(child->tokens.size()) == page_tokens_);
    ++*nodes;
    if (IsEvictable(child.get())) {
      ++*evictable;
      if (child->children.empty()) {
        ++*leaves;
        FATHOM_CHECK(leaves_.contains({child->used, child.get()}));
      }
      for (const auto& grandchild : child->children) {
        FATHOM_CHECK(IsEvictable(grandchild.second.get()), "a page is used without its prefix");
      }
    }
    CheckNode(*child, nodes, evictable, leaves);
  }
}

void PrefixTree::CheckInvariants() const {
  int64_t nodes = 0, evictable = 0, leaves = 0;
  for (const auto& [salt, root] : roots_) {
    FATHOM_CHECK(root->holders > 0 || !root->children.empty(), "an empty root is left");
    CheckNode(*root, &nodes, &evictable, &leaves);
  }
  FATHOM_CHECK(nodes == nodes_ && evictable == evictable_);
  FATHOM_CHECK(leaves == static_cast<int64_t>(leaves_.size()));
}

}  // namespace fathom
