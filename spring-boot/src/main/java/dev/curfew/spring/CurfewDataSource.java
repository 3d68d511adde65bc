package dev.curfew.spring;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import org.springframework.beans.factory.annotation.Qualifier;

/** Marks the {@link javax.sql.DataSource} bean for Curfew, where the application has several or a small pool of its own. */
@Qualifier
@Retention(RetentionPolicy.RUNTIME)
public @interface CurfewDataSource {}
