// The same questions with drizzle-orm on postgres.js: told on stdin what to do next, tells on stdout how it went.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { and, count, desc, eq, gt, gte, inArray, sql } from "drizzle-orm";
import { integer, pgTable, text, timestamp } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";

const skills = pgTable("skills", {
  id: text("id").primaryKey(),
  tenantId: text("tenant_id").notNull(),
  name: text("name").notNull(),
  slug: text("slug").notNull(),
  category: text("category").notNull(),
  status: text("status").notNull(),
  publishedVersionId: text("published_version_id"),
  updatedAt: timestamp("updated_at", { withTimezone: true }).notNull(),
});
const versions = pgTable("skill_versions", {
  id: text("id").primaryKey(),
  version: integer("version").notNull(),
  description: text("description").notNull(),
});
const feedback = pgTable("skill_feedback", {
  id: text("id").primaryKey(),
  skillId: text("skill_id").notNull(),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull(),
});
const views = pgTable("user_skill_views", {
  id: text("id").primaryKey().default(sql`gen_random_uuid()`),
  tenantId: text("tenant_id").notNull(),
  userId: text("user_id").notNull(),
  skillId: text("skill_id").notNull(),
  lastViewedAt: timestamp("last_viewed_at", { withTimezone: true }).notNull().defaultNow(),
  lastViewedVersion: integer("last_viewed_version"),
  viewCount: integer("view_count").notNull().default(1),
});

const [, , url, workloadFile] = process.argv;
const parts = new URL(url.replace("@/", "@localhost/"));
const client = postgres({
  host: parts.searchParams.get("host")!,
  port: Number(parts.searchParams.get("port") ?? 5432),
  path: `${parts.searchParams.get("host")}/.s.PGSQL.${parts.searchParams.get("port") ?? 5432}`,
  database: parts.pathname.slice(1),
  username: parts.username,
  max: 10,
});
const db = drizzle(client);

const isUpdated = (
  view: { lastViewedVersion: number | null; lastViewedAt: Date },
  skill: { updatedAt: Date },
  version: number | null,
) =>
  (version !== null && view.lastViewedVersion !== null && version > view.lastViewedVersion) ||
  skill.updatedAt > view.lastViewedAt;

function callsOf(tenantId: string) {
  const of = (userId: string) => and(eq(views.tenantId, tenantId), eq(views.userId, userId));

  async function record(userId: string, skillId: string, version: number) {
    await db
      .insert(views)
      .values({ tenantId, userId, skillId, lastViewedAt: new Date(), lastViewedVersion: version })
      .onConflictDoUpdate({
        target: [views.tenantId, views.userId, views.skillId],
        set: { lastViewedAt: new Date(), lastViewedVersion: version, viewCount: sql`${views.viewCount} + 1` },
      });
  }

  async function badges(userId: string, skillIds: string[]) {
    const rows = await db
      .select({ view: views, skill: skills, version: versions.version })
      .from(views)
      .innerJoin(skills, eq(skills.id, views.skillId))
      .leftJoin(versions, eq(versions.id, skills.publishedVersionId))
      .where(and(of(userId), inArray(views.skillId, skillIds)));
    return new Set(rows.filter((row) => isUpdated(row.view, row.skill, row.version)).map((row) => row.skill.id));
  }

  async function visit(userId: string, skillId: string) {
    const [row] = await db
      .select({ skill: skills, version: versions })
      .from(skills)
      .innerJoin(versions, eq(versions.id, skills.publishedVersionId))
      .where(and(eq(skills.id, skillId), eq(skills.tenantId, tenantId)));
    const [view] = await db.select().from(views).where(and(of(userId), eq(views.skillId, skillId)));
    const since = view?.lastViewedAt ?? new Date();
    const [added] = await db
      .select({ count: count() })
      .from(feedback)
      .where(and(eq(feedback.skillId, skillId), gt(feedback.createdAt, since)));
    await record(userId, skillId, row.version.version);
    return { updated: view && isUpdated(view, row.skill, row.version.version), feedback: added.count };
  }

  async function whatsNew(userId: string, limit = 10) {
    const window = new Date(Date.now() - 30 * 24 * 60 * 60 * 1000);
    return db
      .select({
        skillId: skills.id,
        skillName: skills.name,
        skillSlug: skills.slug,
        category: skills.category,
        updatedAt: skills.updatedAt,
        lastViewedAt: views.lastViewedAt,
        viewCount: views.viewCount,
      })
      .from(views)
      .innerJoin(skills, eq(skills.id, views.skillId))
      .where(
        and(
          of(userId),
          eq(skills.status, "published"),
          gt(skills.updatedAt, views.lastViewedAt),
          gte(skills.updatedAt, window),
        ),
      )
      .orderBy(desc(skills.updatedAt), skills.id)
      .limit(limit);
  }

  return { record, badges, visit, whats_new: whatsNew };
}

const calls: Record<string, (...items: any[]) => Promise<unknown>> = {
  ...callsOf("large"),
  whats_new_extreme: callsOf("extreme").whats_new,
};
const workload = JSON.parse(readFileSync(workloadFile, "utf8"));

async function run(order: { call: string; callers: number; seconds: number; items?: unknown[][] }) {
  const items: unknown[][] = order.items ?? workload[order.call];
  const latencies: number[] = [];
  const started = performance.now();
  const cpu = process.cpuUsage();
  const end = started + order.seconds * 1000;
  const caller = async () => {
    for (let began = performance.now(); began < end; began = performance.now()) {
      await calls[order.call](...items[Math.floor(Math.random() * items.length)]);
      latencies.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: order.callers }, caller));
  const seconds = (performance.now() - started) / 1000;
  const used = process.cpuUsage(cpu);
  latencies.sort((one, two) => one - two);
  return {
    calls: latencies.length,
    rate: latencies.length / seconds,
    p50: latencies[Math.floor(latencies.length / 2)],
    p99: latencies[Math.floor(latencies.length * 0.99)],
    client_cpu: (used.user + used.system) / latencies.length,
  };
}

console.log(JSON.stringify({ ready: Object.keys(calls).sort() }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(JSON.parse(line))));
}
await client.end();
